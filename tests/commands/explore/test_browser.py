"""The page in a browser, from typing a text to its heat map."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from allennlp_saliency.commands.explore.app import create
from allennlp_saliency.commands.explore.guard import Guard
from allennlp_saliency.commands.explore.jobs import ModelQueue

from .conftest import LIMITS, Models, Serving, served_at, until

TEXT = "yesterday our lender sold the bonds"
Open = Callable[..., Any]


@pytest.fixture
def open_page(browser: Any, serving: Serving) -> Iterator[Open]:
    """Opens the page in a window of its own, and makes sure that it asks for nothing from elsewhere
    and that its console stays empty."""
    contexts, wrong, asked, hosts = [], [], [], set()

    def opened(url: str = serving.url, **settings: Any) -> Any:
        hosts.add(urlsplit(url).netloc)
        context = browser.new_context(**settings)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: wrong.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(url)
        return page

    yield opened
    for context in contexts:
        context.close()
    expected = "Failed to load resource: the server responded with a status of 4"
    assert not [one for one in wrong if expected not in one]
    assert {urlsplit(one).netloc for one in asked if not one.startswith("data:")} == hosts


def result_of(page: Any, side: str = "A") -> dict[str, Any]:
    """What "Copy as JSON" gives."""
    section = page.get_by_role("region", name=side, exact=True)
    section.get_by_role("button", name="JSON").click()
    return json.loads(section.locator(".copies pre").text_content())


def test_from_a_text_to_its_heat_map(open_page: Open, models: Models) -> None:
    page = open_page()
    page.get_by_label("sentence").fill(TEXT)
    page.get_by_label("Method").select_option("integrated-gradients")
    page.get_by_text("Parameters", exact=True).click()
    page.get_by_label("steps", exact=True).fill("16")
    page.get_by_label("steps", exact=True).press("Enter")
    page.locator(".asal .card").wait_for()
    assert page.locator(".said").text_content() == "finance"
    assert "lender" in page.locator(".asal .card").text_content()
    found = result_of(page)["instances"][0]["explanation"]
    parameters = {"type": "integrated-gradients", "steps": 16}
    (wanted,) = (
        models["topics"]
        .interpreter("text_classifier", parameters)
        .interpret_json({"sentence": TEXT})
    )
    assert found["inputs"] == json.loads(json.dumps(wanted.to_json()["inputs"]))
    # The view is the report's, with the numbers of the explanation.
    page.locator(".asal details", has_text="all scores as a table").locator("summary").click()
    raw = page.locator(".asal .scores tbody tr td:nth-child(4)").all_text_contents()
    assert [float(one) for one in raw] == found["inputs"][0]["attributions"]


WRONG = {
    "0": "steps is an integer of at least 1, not 0 of type int",
    "many": "steps is a number, not many",
    "1000000": "steps is at most 2,000 here, not 1e+06",
}


def test_a_wrong_parameter_gives_a_readable_error(open_page: Open) -> None:
    page = open_page()
    page.get_by_text("Parameters", exact=True).click()
    for value, told in WRONG.items():
        page.get_by_label("steps", exact=True).fill(value)
        page.get_by_role("button", name="Explain").click()
        page.locator(".status.error", has_text=told).wait_for()
        assert page.locator(".asal").count() == 0
    # The page goes on.
    page.get_by_label("steps", exact=True).fill("4")
    page.get_by_role("button", name="Explain").click()
    page.locator(".asal .card").wait_for()


def test_two_browsers_at_once(open_page: Open) -> None:
    texts = {"our lender sold the bonds": "finance", "the verdict of the lawsuit": "law"}
    pages = {text: open_page() for text in texts}
    for text, page in pages.items():
        page.get_by_label("sentence").fill(text)
    for page in pages.values():
        page.get_by_role("button", name="Explain").click()
    for text, page in pages.items():
        page.locator(".asal .card").wait_for()
        assert page.locator(".said").text_content() == texts[text]


def works(queue: ModelQueue) -> bool:
    """Whether the model has begun with a request."""
    running = queue._running
    return running is not None and running.passes > 3


def test_who_leaves_or_cancels_ends_the_work(
    serving: Serving, endless: str, open_page: Open
) -> None:
    queue = serving.model.queue
    page = open_page()
    page.get_by_label("Method").select_option(endless)
    page.get_by_role("button", name="Explain").click()
    until(lambda: works(queue))
    page.get_by_text("passes of the model").wait_for()
    page.get_by_role("button", name="Cancel").click()
    page.get_by_text("cancelled").wait_for()
    until(lambda: queue._running is None)
    page.get_by_role("button", name="Explain").click()
    until(lambda: works(queue))
    page.close()
    until(lambda: queue._running is None)


def test_a_word_is_edited(open_page: Open) -> None:
    page = open_page()
    page.get_by_label("sentence").fill("our lender sold the bonds")
    page.get_by_role("button", name="Explain").click()
    page.get_by_text("Edit a word and see what changes").click()
    for word, other in (("bonds", "verdict"), ("lender", "")):
        page.locator(".word", has_text=word).click()
        page.get_by_label(f"in place of {word}").fill(other)
        page.keyboard.press("Enter")
    row = page.locator(".changes tr", has_text="label")
    row.get_by_text("law").wait_for()
    page.get_by_role("button", name="Explain both, side by side").click()
    page.locator(".asal .card").nth(1).wait_for()
    assert [one.input_value() for one in page.get_by_label("sentence").all()] == [
        "our lender sold the bonds",
        "our sold the verdict",
    ]
    assert page.locator(".said").all_text_contents() == ["finance", "law"]


def test_two_methods_are_compared_and_the_address_is_a_link_to_it(open_page: Open) -> None:
    page = open_page()
    page.get_by_role("button", name="Explain").click()
    page.locator(".asal .card").wait_for()
    page.get_by_role("button", name="Compare").click()
    assert page.locator(".asal .card").count() == 1  # what is there stays
    methods = page.get_by_label("Method")
    methods.nth(1).select_option("leave-one-out")
    page.get_by_label("target").nth(1).select_option("logit")
    page.get_by_label("label", exact=True).nth(0).fill("law")
    page.get_by_role("button", name="Explain both").click()
    both = page.locator("#together")
    both.locator(".card").scroll_into_view_if_needed()
    both.get_by_text("agreement of the methods").wait_for()
    names = both.locator(".method h3").all_text_contents()
    assert names == ["integrated-gradients", "leave-one-out"]
    again = open_page(page.url)
    again.get_by_role("button", name="Explain both").click()
    again.locator("#together .card").scroll_into_view_if_needed()
    again.locator("#together").get_by_text("agreement of the methods").wait_for()
    assert again.locator("#together").text_content() == both.text_content()
    ids = page.locator("[id]").evaluate_all("all => all.map((one) => one.id)")
    assert len(ids) == len(set(ids))
    assert result_of(again, "B") == result_of(page, "B")
    target = result_of(again, "B")["instances"][0]["explanation"]["target"]
    assert (target["type"], target["label"]) == ("logit", "law")


def test_a_link_shows_what_it_is_of_and_waits(open_page: Open, serving: Serving) -> None:
    page = open_page()
    page.get_by_label("sentence").fill(TEXT)
    page.get_by_label("Method").select_option("leave-one-out")
    page.get_by_role("button", name="Explain").click()
    page.locator(".asal .card").wait_for()
    asked: list[str] = []
    again = open_page()
    again.on("request", lambda request: asked.append(request.method))
    again.goto(page.url)  # what comes after the # alone differs, so the page is not loaded anew
    again.get_by_text("from a link; “Explain” asks the model").wait_for()
    assert again.get_by_label("sentence").input_value() == TEXT
    assert again.get_by_label("Method").input_value() == "leave-one-out"
    # Nothing but the page is asked for, and the model has nothing to do.
    again.wait_for_timeout(300)
    assert "POST" not in asked
    assert serving.model.queue._running is None
    again.get_by_role("button", name="Explain").click()
    again.locator(".asal .card").wait_for()
    assert "POST" in asked
    assert result_of(again)["instances"] == result_of(page)["instances"]


def test_progress_in_percent_never_goes_back(open_page: Open, slow: str) -> None:
    page = open_page()
    page.get_by_role("button", name="Explain").wait_for()
    page.evaluate(
        """() => {
            globalThis.seen = [];
            const bar = document.querySelector("progress");
            new MutationObserver(() => bar.hidden || seen.push(bar.value)).observe(
                bar, { attributes: true });
            const text = document.querySelector(".status");
            globalThis.told = [];
            new MutationObserver(() => told.push(text.textContent)).observe(
                text, { childList: true, characterData: true, subtree: true });
        }"""
    )
    assert not page.locator("progress").is_visible()
    page.get_by_label("Method").select_option(slow)
    page.get_by_role("button", name="Explain").click()
    page.locator(".asal .card").wait_for()
    seen, told = page.evaluate("seen"), page.evaluate("told")
    assert seen == sorted(seen)
    assert len(set(seen)) > 2
    assert 0 < max(seen) < 100
    assert any(f"{int(max(seen))} % · " in one for one in told)
    assert not page.locator("progress").is_visible()


def test_a_method_that_is_none_for_the_model_says_why(open_page: Open) -> None:
    page = open_page()
    chosen = page.get_by_label("Method")

    def listed(name: str) -> None:
        """Waits for a method in the list, which is filled when the server has answered."""
        exactly = re.compile(f"^{re.escape(name)}$")
        chosen.locator("option").filter(has_text=exactly).wait_for(state="attached")

    listed("attention (not for this model)")
    listed("lime")
    chosen.select_option("attention")
    page.get_by_text("Not for this model: no part of BasicClassifier is attention").wait_for()
    chosen.select_option("lime")
    page.locator(".unsuited").wait_for(state="detached")
    page.get_by_label("Model", exact=True).select_option("copy-lm")
    listed("attention")


BROKEN = (
    "{",
    "[1]",
    "[[]]",
    '[{"inputs": []}]',
    '[{"inputs": {}, "interpreter": {}, "model": 3}]',
    '[{"inputs": {"sentence": {"a": 1}}, "interpreter": {"type": 3, "target": [1]}}]',
    "%E0%A4%A",
)


def test_a_broken_link_opens_the_page(open_page: Open, serving: Serving) -> None:
    page = open_page()
    for state in BROKEN:
        page.goto("about:blank")
        page.goto(f"{serving.url}#state={state}")
        page.get_by_role("button", name="Explain").wait_for()


def test_hostile_text_stays_text(open_page: Open) -> None:
    text = "<img src=x onerror=alert(1)> <script>alert(2)</script> \"'`> bonds"
    page = open_page()
    page.get_by_label("sentence").fill(text)
    page.get_by_role("button", name="Explain").click()
    page.locator(".asal .card").wait_for()
    assert page.locator("img, .outcome script").count() == 0
    page.get_by_text("Edit a word and see what changes").click()
    assert text in page.locator(".pieces").text_content()


def test_the_token_leaves_the_address(browser: Any, models: Models, open_page: Open) -> None:
    guard = Guard(create(models, LIMITS), LIMITS, "secret", loopback=False)
    with served_at(guard) as port:
        page = open_page(f"http://127.0.0.1:{port}/#token=wrong")
        page.get_by_text("open the address with the token").wait_for()
        page = open_page(f"http://127.0.0.1:{port}/#token=secret")
        page.get_by_role("button", name="Explain").click()
        page.locator(".asal .card").wait_for()
        assert "secret" not in page.url
        page.reload()
        page.get_by_role("button", name="Explain").click()
        page.locator(".asal .card").wait_for()


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_axe_finds_nothing_serious(open_page: Open, width: int, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = open_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.get_by_role("button", name="Compare").click()
    page.get_by_label("Method").nth(1).select_option("lime")
    for side in page.get_by_text("Parameters", exact=True).all():
        side.click()
    page.get_by_role("button", name="Explain both").click()
    page.locator("#together .card").scroll_into_view_if_needed()
    page.get_by_text("agreement of the methods").wait_for()
    for closed in page.get_by_text("Edit a word and see what changes").all():
        closed.click()
    found = axe.run(page).response
    assert len(found["passes"]) > 20
    wrong = {
        one["id"]: [node["html"][:200] for node in one["nodes"]][:3]
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
    }
    assert wrong == {}
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_keyboard_suffices(open_page: Open) -> None:
    page = open_page()
    page.get_by_role("button", name="Explain").wait_for()

    def tab_to(name: str) -> None:
        for _ in range(60):
            page.keyboard.press("Tab")
            if name in page.locator(":focus").evaluate(
                "one => one.labels?.[0]?.textContent || one.textContent"
            ):
                return
        raise AssertionError(f"Tab does not lead to {name}")

    tab_to("sentence")
    page.keyboard.press("Control+A")
    page.keyboard.type("the verdict of the lawsuit")
    tab_to("Method")
    page.keyboard.type("input-x")
    page.keyboard.press("Tab")
    page.get_by_text("InputXGradient").wait_for()
    tab_to("Explain")
    page.keyboard.press("Enter")
    page.locator(".asal .card").wait_for()
    assert page.locator(".said").text_content() == "law"
