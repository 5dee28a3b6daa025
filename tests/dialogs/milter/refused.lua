-- A recipient is refused with words of our own, the message too, and what is on record with us is dropped in silence.
mt.set_timeout(120)
conn = mt.connect("inet:" .. port .. "@127.0.0.1")
if conn == nil then error("no connection") end
if mt.negotiate(conn, nil, nil, nil) ~= nil then error("negotiation") end
if mt.conninfo(conn, "client.example", "192.0.2.7") ~= nil then error("conninfo") end
if mt.helo(conn, "client.example") ~= nil then error("helo") end
if mt.mailfrom(conn, "<a@example.com>") ~= nil then error("mailfrom") end
if mt.rcptto(conn, "<refused@example.org>") ~= nil then error("rcptto") end
if mt.getreply(conn) ~= SMFIR_REPLYCODE then error("the recipient is not refused") end
if mt.rcptto(conn, "<b@example.org>") ~= nil then error("rcptto") end
if mt.getreply(conn) ~= SMFIR_CONTINUE then error("the other is refused") end
if mt.header(conn, "From", "a@example.com") ~= nil then error("header") end
if mt.eoh(conn) ~= nil then error("eoh") end
if mt.bodystring(conn, "body\r\n") ~= nil then error("body") end
if mt.eom(conn) ~= nil then error("eom") end
if last == "refused" and mt.getreply(conn) ~= SMFIR_REPLYCODE then error("the message is not refused") end
if last == "discarded" and mt.getreply(conn) ~= SMFIR_DISCARD then error("the message is not discarded") end
if mt.eom_check(conn, MT_HDRINSERT) then error("a field for a mail that goes nowhere") end
mt.disconnect(conn)
