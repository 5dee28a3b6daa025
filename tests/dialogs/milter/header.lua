-- Fields are put on top, a forged one is taken out, and the mail is let pass.
mt.set_timeout(120)
conn = mt.connect("inet:" .. port .. "@127.0.0.1")
if conn == nil then error("no connection") end
if mt.negotiate(conn, nil, nil, nil) ~= nil then error("negotiation") end
if not mt.test_action(conn, SMFIF_ADDHDRS) then error("does not add fields") end
if not mt.test_action(conn, SMFIF_CHGHDRS) then error("does not take fields out") end
if mt.test_action(conn, SMFIF_CHGBODY) then error("wants to change bodies") end

if mt.conninfo(conn, "client.example", "192.0.2.7") ~= nil then error("conninfo") end
if mt.getreply(conn) ~= SMFIR_CONTINUE then error("not continued at CONNECT") end
if mt.helo(conn, "client.example") ~= nil then error("helo") end
mt.macro(conn, SMFIC_MAIL, "{auth_authen}", "a@example.com")
if mt.mailfrom(conn, "<a@example.com>", "SIZE=100") ~= nil then error("mailfrom") end
if mt.getreply(conn) ~= SMFIR_CONTINUE then error("not continued at MAIL") end
if mt.rcptto(conn, "<b@example.org>", "NOTIFY=NEVER") ~= nil then error("rcptto") end
if mt.getreply(conn) ~= SMFIR_CONTINUE then error("not continued at RCPT") end
if mt.header(conn, "From", "a@example.com") ~= nil then error("header") end
if mt.header(conn, "X-Spam-Flag", "YES") ~= nil then error("header") end
if mt.eoh(conn) ~= nil then error("eoh") end
if mt.bodystring(conn, "body\r\n") ~= nil then error("body") end
if mt.eom(conn) ~= nil then error("eom") end
if mt.getreply(conn) ~= SMFIR_ACCEPT then error("not accepted: " .. mt.getreply(conn)) end
if not mt.eom_check(conn, MT_HDRINSERT, "X-Filterd-Id", " t_1 " .. host, 0) then error("X-Filterd-Id not on top") end
if not mt.eom_check(conn, MT_HDRDELETE, "X-Spam-Flag") then error("X-Spam-Flag not taken out") end
if mt.eom_check(conn, MT_BODYCHANGE) then error("body changed") end
if mt.eom_check(conn, MT_QUARANTINE) then error("held") end
mt.disconnect(conn)
