"""The loopback sink keeps what it is sent, and misbehaves as told."""

from __future__ import annotations

from pathlib import Path

from filterd.clients.sink import SinkScript, start_sink
from tests.dialogs.client import Dialog


async def test_it_keeps_the_last_mails_and_writes_them_all(tmp_path: Path) -> None:
    sink = await start_sink(keep=2, directory=tmp_path)
    async with Dialog(int(sink.address.rpartition(":")[2])) as talk:
        await talk.greeted()
        for n in range(3):
            await talk.envelope(f"<{n}@example.com> SIZE=9", "<b@example.org> NOTIFY=NEVER")
            assert await talk.data(b"..%d\r\n" % n) == f"250 2.0.0 Ok: queued as {n + 1:06d}"
        assert await talk.ask("QUIT") == "221 2.0.0 Bye"
    assert [(m.number, m.mail, m.rcpts, m.raw) for m in sink.messages] == [
        (2, b"FROM:<1@example.com> SIZE=9", (b"TO:<b@example.org> NOTIFY=NEVER",), b".1\r\n"),
        (3, b"FROM:<2@example.com> SIZE=9", (b"TO:<b@example.org> NOTIFY=NEVER",), b".2\r\n"),
    ]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["000001.eml", "000002.eml", "000003.eml"]
    assert (tmp_path / "000001.eml").read_bytes() == b".0\r\n"
    assert sink.counts["messages"] == 3
    await sink.close()


async def test_it_refuses_as_told() -> None:
    sink = await start_sink(
        script=SinkScript(replies={"dot": "554 5.6.0 no"}, recipients={b"c@x.org": "450 4.2.1 wait"})
    )
    async with Dialog(int(sink.address.rpartition(":")[2])) as talk:
        await talk.greeted()
        assert await talk.envelope("<>", "<b@x.org>", "<c@x.org>") == [
            "250 2.1.0 Ok",
            "250 2.1.5 Ok",
            "450 4.2.1 wait",
        ]
        assert await talk.data(b"x\r\n") == "554 5.6.0 no"
    assert not sink.messages
    assert sink.counts["refused"] == 1
    await sink.close()
