-- A body of a mebibyte, in chunks as miltertest makes them.
mt.set_timeout(120)
conn = mt.connect("inet:" .. port .. "@127.0.0.1")
if conn == nil then error("no connection") end
if mt.negotiate(conn, nil, nil, nil) ~= nil then error("negotiation") end
if mt.conninfo(conn, "client.example", "192.0.2.7") ~= nil then error("conninfo") end
if mt.helo(conn, "client.example") ~= nil then error("helo") end
if mt.mailfrom(conn, "<a@example.com>") ~= nil then error("mailfrom") end
if mt.rcptto(conn, "<b@example.org>") ~= nil then error("rcptto") end
if mt.header(conn, "From", "a@example.com") ~= nil then error("header") end
if mt.eoh(conn) ~= nil then error("eoh") end
if mt.bodyfile(conn, body) ~= nil then error("body") end
if mt.eom(conn) ~= nil then error("eom") end
if mt.getreply(conn) ~= SMFIR_ACCEPT then error("not accepted") end
mt.disconnect(conn)
