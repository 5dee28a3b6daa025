-- Three messages on one connection: the second is given up in the middle, the third has nothing of it.
mt.set_timeout(120)
conn = mt.connect("inet:" .. port .. "@127.0.0.1")
if conn == nil then error("no connection") end
if mt.negotiate(conn, nil, nil, nil) ~= nil then error("negotiation") end
if mt.conninfo(conn, "client.example", "192.0.2.7") ~= nil then error("conninfo") end
if mt.helo(conn, "client.example") ~= nil then error("helo") end

function begin(from, to)
    if mt.mailfrom(conn, from) ~= nil then error("mailfrom") end
    if mt.getreply(conn) ~= SMFIR_CONTINUE then error("not continued at MAIL of " .. from) end
    if mt.rcptto(conn, to) ~= nil then error("rcptto") end
    if mt.getreply(conn) ~= SMFIR_CONTINUE then error("not continued at RCPT of " .. to) end
    if mt.header(conn, "From", from) ~= nil then error("header") end
    if mt.eoh(conn) ~= nil then error("eoh") end
    if mt.bodystring(conn, "of " .. from .. "\r\n") ~= nil then error("body") end
end

begin("<one@example.com>", "<b1@example.org>")
if mt.eom(conn) ~= nil then error("eom") end
if mt.getreply(conn) ~= SMFIR_ACCEPT then error("the first is not accepted") end
begin("<two@example.com>", "<b2@example.org>")
if mt.abort(conn) ~= nil then error("abort") end
begin("<three@example.com>", "<b3@example.org>")
if mt.eom(conn) ~= nil then error("eom") end
if mt.getreply(conn) ~= SMFIR_ACCEPT then error("the third is not accepted") end
mt.disconnect(conn)
