"""The page an account objects on: real HTTP, a real ledger, a signed link.  STANDING 5.6, TX-6.3."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from filterd import metrics
from filterd.config import Config, HttpConfig
from filterd.doors.http import start_http
from filterd.errors import LedgerUnavailable, PeerError
from filterd.model import records as r
from filterd.pipeline.appeal_link import Bound, case_link, form_mark, link, read, sign
from filterd.pipeline.appeal_page import (
    BODY_MAX_BYTES,
    FORMS_AN_HOUR,
    AppealPage,
    Refusal,
    chosen_language,
    is_own_form,
)
from tests.kit.house import KEYS, House
from tests.pipeline.appeal_rig import ALICE, Scene
from tests.pipeline.test_gate import CONFIG

# No limit is met: time stands still.
pytestmark = [pytest.mark.turned, pytest.mark.slow]

ENGLISH = {"Accept-Language": "en-GB,en;q=0.9"}


class Web:
    """A running door before a house with one case."""

    def __init__(self, scene: Scene, port: int, token: str):
        self.scene, self.port, self.token = scene, port, token

    async def ask(
        self, method: str, path: str, fields: dict[str, str] | None = None, body: bytes = b""
    ) -> tuple[int, dict[str, str], str]:
        head = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{self.port}"]
        head += [f"{name}: {value}" for name, value in (fields or {}).items()]
        if method == "POST" and "Content-Length" not in (fields or {}):
            head.append(f"Content-Length: {len(body)}")
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write("\r\n".join([*head, "", ""]).encode() + body)
            said = await reader.read()
        finally:
            writer.close()
        top, _, text = said.partition(b"\r\n\r\n")
        first, *lines = top.decode().split("\r\n")
        return int(first.split()[1]), dict(line.split(": ", 1) for line in lines), text.decode()

    async def get(self, **fields: str) -> tuple[int, dict[str, str], str]:
        return await self.ask("GET", f"/appeal/{self.token}", ENGLISH | fields)

    async def post(self, text: str = "", mark: str | None = None, **fields: str) -> tuple[int, dict[str, str], str]:
        form = {"mark": form_mark(KEYS.token, self.token) if mark is None else mark, "text": text}
        head = ENGLISH | {"Content-Type": "application/x-www-form-urlencoded"} | fields
        return await self.ask("POST", f"/appeal/{self.token}", head, urlencode(form).encode())

    async def filed(self) -> list[r.ObjectionFiled]:
        return [x for x in await self.scene.records() if isinstance(x, r.ObjectionFiled)]


@pytest.fixture
async def web(tmp_path: Path) -> AsyncIterator[Web]:
    config = Config.model_validate({**CONFIG, "node": {"state_dir": str(tmp_path)}})
    house = await House(folder=tmp_path, config=config).open()
    scene = Scene(house)
    await scene.person("ann")
    await scene.person("ben")
    await scene.climb(0, 2)
    records = await scene.records()
    opened = [x for x in records if isinstance(x, r.IncidentOpened)][-1]
    refused_at = house.clock.now()

    async def refusals(account_id: str, since: datetime) -> tuple[Refusal, ...]:
        return (Refusal(at=refused_at, recipients=7),) if account_id == opened.account_id else ()

    async def health() -> dict[str, str | None]:
        return {}

    page = AppealPage(
        house.ledger, KEYS.token, house.clock, appeals_address="appeals@provider.example", refusals=refusals
    )
    server = await start_http(HttpConfig(port=0), metrics.exposition, health, appeal=page)
    bound = Bound(
        account_id=opened.account_id,
        incident_id=opened.incident_id,
        expires_at=house.clock.now() + timedelta(days=180),
    )
    yield Web(scene, server.sockets[0].getsockname()[1], sign(KEYS.token, bound))
    server.close()
    await house.close()


async def test_the_page_says_standing_points_next_step_and_refusals_and_has_a_form(web: Web) -> None:
    status, fields, text = await web.get()
    assert status == 200
    assert fields["Content-Type"] == "text/html; charset=utf-8"
    for words in ("restricted", "Points: 9", "With 12 points", "recipients 7", "never adds points", "<form"):
        assert words in text, words
    assert ALICE not in text
    assert "script" not in text


async def test_it_can_be_neither_framed_nor_kept_nor_made_to_load_anything(web: Web) -> None:
    _, fields, _ = await web.get()
    policy = fields["Content-Security-Policy"]
    for part in ("default-src 'none'", "frame-ancestors 'none'", "form-action 'self'", "base-uri 'none'"):
        assert part in policy
    assert (fields["Cache-Control"], fields["X-Content-Type-Options"]) == ("no-store", "nosniff")
    assert (fields["Referrer-Policy"], fields["X-Robots-Tag"]) == ("same-origin", "noindex")


async def test_it_speaks_the_readers_language(web: Web) -> None:
    assert "您的申诉" in (await web.get(**{"Accept-Language": "zh-CN,zh;q=0.9,en;q=0.8"}))[2]
    assert '<html lang="en">' in (await web.get())[2]


@pytest.mark.parametrize(
    ("said", "language"),
    [
        ("", "zh"),
        ("en", "en"),
        ("de, en;q=0.5, zh;q=0.4", "en"),
        ("en;q=0, zh", "zh"),
        ("q=;;,x", "zh"),
        ("zh-TW", "zh"),
    ],
)
def test_which_language(said: str, language: str) -> None:
    assert chosen_language(said) == language


async def test_the_form_files_the_objection_and_leads_back(web: Web) -> None:
    status, fields, _ = await web.post("It was our newsletter\r\nwith consent")
    assert (status, fields["Location"]) == (303, web.token)
    (filed,) = await web.filed()
    assert filed.channel == "link"
    (appeal,) = await web.scene.call("appeal.list")
    shown = await web.scene.call("appeal.show", "ft_ann", appeal=appeal["appeal_id"])
    assert [x["text"] for x in shown["said"]] == ["It was our newsletter\nwith consent"]
    assert "objection_received" in await web.scene.promised()
    _, _, text = await web.get()
    assert "Received" in text
    assert "<form" not in text
    await web.post("again")
    assert len(await web.filed()) == 1


async def test_an_empty_form_is_an_objection_too(web: Web) -> None:
    assert (await web.post())[0] == 303
    assert len(await web.filed()) == 1


async def test_what_the_reviewer_asks_is_answered_here(web: Web) -> None:
    await web.post("no")
    (appeal,) = await web.scene.call("appeal.list")
    await web.scene.call("appeal.ask", "ft_ann", appeal=appeal["appeal_id"], text="Who are they?")
    assert "Answer" in (await web.get())[2]
    await web.post("Our customers")
    shown = await web.scene.call("appeal.show", "ft_ann", appeal=appeal["appeal_id"])
    assert [x["text"] for x in shown["said"]][-1] == "Our customers"
    assert shown["state"] == "assigned"


async def test_it_only_files_and_the_sanction_stays(web: Web) -> None:
    before = await web.scene.house.show(ALICE)
    await web.post("please")
    after = await web.scene.house.show(ALICE)
    assert (after["standing"], after["points"]) == (before["standing"], before["points"])


# --- who may not ------------------------------------------------------------------------------------------------------


async def test_a_link_that_is_not_ours_opens_nothing(web: Web) -> None:
    version, account, incident, until, mac = web.token.split(".")
    other = ".".join((version, "a_another", incident, until, mac))
    longer = ".".join((version, account, incident, str(int(until) + 1), mac))
    case = incident.split("_")[1][:12]
    for token in (other, longer, mac, "", case, web.token + "x", "x" * 3000, "%00", web.token[:-1]):
        status, _, text = await web.ask("GET", f"/appeal/{token}", ENGLISH)
        assert status == 404, token
        assert "appeals@provider.example" in text
    assert await web.filed() == []


async def test_it_ends_with_the_window(web: Web) -> None:
    web.scene.house.clock.advance(181 * 24 * 3600)
    assert (await web.get())[0] == 404
    assert (await web.post("late"))[0] == 404
    assert await web.filed() == []


@pytest.mark.parametrize(
    "fields",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
    ids=str,
)
async def test_a_form_from_elsewhere_is_not_taken(web: Web, fields: dict[str, str]) -> None:
    assert (await web.post("x", **fields))[0] == 404
    assert await web.filed() == []


async def test_a_form_without_the_pages_mark_is_not_taken(web: Web) -> None:
    for mark in ("", "x", form_mark(KEYS.token, "another")):
        assert (await web.post("x", mark=mark))[0] == 404
    assert await web.filed() == []


def test_our_own_form_is_known_through_a_proxy() -> None:
    assert is_own_form({"host": "help.example", "origin": "https://help.example", "sec-fetch-site": "same-origin"})
    assert is_own_form({"host": "help.example"})


async def test_not_too_often(web: Web) -> None:
    statuses = [(await web.post("x"))[0] for _ in range(FORMS_AN_HOUR + 2)]
    assert statuses == [303] * FORMS_AN_HOUR + [429] * 2
    web.scene.house.clock.advance(3601)
    assert (await web.post("x"))[0] == 303


# --- hostile requests -------------------------------------------------------------------------------------------------


async def test_what_is_too_large_or_no_form_is_refused(web: Web) -> None:
    path = f"/appeal/{web.token}"
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    asked = [
        (form | {"Content-Length": str(BODY_MAX_BYTES + 1)}, b"", 413),
        (form | {"Content-Length": "x"}, b"", 411),
        (form | {"Transfer-Encoding": "chunked"}, b"0\r\n\r\n", 411),
        ({"Content-Type": "text/plain"}, b"mark=x", 415),
        (form, b"\xff\xfe=%ff", 404),
        (form, b"a=1&b=2&c=3&d=4&e=5&f=6", 404),
    ]
    for fields, body, status in asked:
        assert (await web.ask("POST", path, fields, body))[0] == status, fields
    assert (await web.post("y" * 2001))[0] == 400
    assert await web.filed() == []


@pytest.mark.parametrize("method", ["PUT", "DELETE", "HEAD", "OPTIONS"])
async def test_only_get_and_post(web: Web, method: str) -> None:
    assert (await web.ask(method, f"/appeal/{web.token}"))[0] == 405


async def test_markup_in_the_words_is_never_a_page(web: Web) -> None:
    await web.post("<script>alert(1)</script>")
    assert "<script>" not in (await web.get())[2]


async def test_without_the_ledger_it_says_later(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(verb: str, arguments: object) -> object:
        raise LedgerUnavailable("away")

    monkeypatch.setattr(web.scene.house.ledger, "call", away)
    assert (await web.get())[0] == 503
    assert (await web.post("x"))[0] == 503


# --- the token --------------------------------------------------------------------------------------------------------


def test_a_token_is_read_back_with_its_own_key_only() -> None:
    now = datetime.fromisoformat("2026-03-02T00:00:00+00:00")
    expires_at = now + timedelta(days=1)
    said = link("https://x/appeal/", KEYS.token, account_id="a_1", incident_id="i_1", expires_at=expires_at)
    assert said is not None
    token = said.removeprefix("https://x/appeal/")
    assert read(KEYS.token, token, now) == Bound(account_id="a_1", incident_id="i_1", expires_at=expires_at)
    for key, at in ((KEYS.pseudonym, now), (KEYS.token, expires_at)):
        with pytest.raises(PeerError):
            read(key, token, at)
    assert link(None, KEYS.token, account_id="a_1", incident_id="i_1", expires_at=expires_at) is None


async def test_the_link_of_a_notice_opens_the_page_until_the_window_closes(web: Web) -> None:
    def look(txn: Any) -> str | None:
        history = txn.history(txn.find_account(ALICE).account_id)
        incident_id = history.incidents[-1].opened.incident_id
        return case_link("https://x/appeal/", KEYS.token, history, web.scene.house.terms(), incident_id, txn.now)

    said = await web.scene.house.engine.submit(look)
    assert said is not None
    web.token = said.removeprefix("https://x/appeal/")
    assert (await web.get())[0] == 200
    web.scene.house.clock.advance(181 * 24 * 3600)
    assert (await web.get())[0] == 200
    web.scene.house.clock.advance(800 * 24 * 3600)
    assert (await web.get())[0] == 404
