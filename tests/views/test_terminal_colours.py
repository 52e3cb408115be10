"""The heat map in the terminal: colours by sign and size, nothing that a terminal obeys."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.style import Style

from allennlp_saliency.views import render, render_line
from allennlp_saliency.views.colours import AGAINST, FOR
from tests.views.explanations import GOOD, attribution, explanation, printed, styles, terminal


class TestColours:
    def test_sign_and_size_are_colours(self) -> None:
        console = terminal()
        words = attribution(
            ["strong", "weak", "none", "bad", "worse"], [1.0, 0.2, 0.01, -0.3, -1.0]
        )
        render([explanation(words)], console=console)
        shown = styles(console)

        def background(token: str) -> tuple[int, int, int] | None:
            colour = shown.get(token, Style()).bgcolor
            return None if colour is None else tuple(colour.get_truecolor())  # type: ignore[return-value]

        assert background("strong") == FOR
        assert background("worse") == AGAINST
        assert " none " in shown  # without a style of its own it is one with the spaces around
        weak, bad = background("weak"), background("bad")
        assert weak is not None
        assert bad is not None
        assert weak[2] > weak[0]
        assert bad[0] > bad[2]

    def test_every_colour_can_be_read(self) -> None:
        """WCAG asks for a contrast of 4.5 between text and its background."""

        def luminance(rgb: tuple[int, int, int]) -> float:
            linear = [
                c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
                for c in (channel / 255 for channel in rgb)
            ]
            return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

        console = terminal()
        scores = [number / 100 for number in range(-100, 101)]
        tokens = [f"t{number}" for number in range(-100, 101)]
        render([explanation(attribution(tokens, scores))], console=console)
        seen = 0
        shown = styles(console)
        for style in (shown[token] for token in tokens if token in shown):
            assert style.color is not None
            assert style.bgcolor is not None
            pair = [luminance(tuple(c.get_truecolor())) for c in (style.color, style.bgcolor)]  # type: ignore[arg-type]
            assert (max(pair) + 0.05) / (min(pair) + 0.05) >= 4.5
            seen += 1
        assert seen > 190

    @pytest.mark.parametrize("system", ["standard", "256", "truecolor"])
    def test_signs_differ_wherever_there_are_colours(self, system: str) -> None:
        console = terminal(system=system)
        render([explanation(attribution(["for", "against"], [1.0, -1.0]))], console=console)
        shown = styles(console)
        assert shown["for"].bgcolor != shown["against"].bgcolor

    def test_pieces_of_a_word_touch(self) -> None:
        console = terminal()
        words = attribution(["un", "##believ", "##able", "!"], [0.1, 0.5, 0.9, 0.0])
        render([explanation(words)], console=console)
        assert "unbelievable !" in console.export_text(clear=False)
        assert styles(console)["believ"].bgcolor != styles(console)["able"].bgcolor

    def test_the_strongest_come_with_their_numbers(self) -> None:
        console = terminal()
        render([GOOD], console=console)
        assert "strongest   great +0.61  film -0.30\n" in console.export_text()

    def test_no_color_means_numbers(self) -> None:
        console = terminal(NO_COLOR="1")
        render([GOOD], console=console)
        assert isinstance(console.file, io.StringIO)
        assert "great +0.61  film -0.30" in console.file.getvalue()
        assert "\x1b[3" not in console.file.getvalue()
        assert "\x1b[4" not in console.file.getvalue()

    def test_a_dumb_terminal_gets_numbers(self) -> None:
        stream = io.StringIO()
        console = Console(file=stream, force_terminal=True, width=80, _environ={"TERM": "dumb"})
        render([GOOD], console=console)
        assert "\x1b" not in stream.getvalue()
        assert "great +0.61" in stream.getvalue()


class TestSafety:
    HOSTILE = (
        "[red]x[/red]",
        "\x1b[31mred\x1b[0m",
        "\x1b]0;title\x07",
        "\x9b2J",
        "\u202elive",
        "a\nb\rc\td",
        "",
        " ",
        ":smile:",
        "<script>alert(1)</script>",
        "\ud800",
        "\u0301",
        "[/]",
    )

    @pytest.mark.parametrize("colours", [True, False])
    def test_nothing_that_is_shown_reaches_the_terminal_as_a_command(self, colours: bool) -> None:
        stream = io.StringIO()
        console = (
            Console(file=stream, force_terminal=True, color_system="truecolor", _environ={})
            if colours
            else Console(file=stream, _environ={})
        )
        for text in self.HOSTILE:
            hostile = explanation(
                attribution([text, "x"], [0.5, 1.0], name=text),
                interpreter={"type": text, text: text},
                target={"type": text, "label": text, "value": 1.0},
                warnings=[text],
            )
            render([hostile], {"label": text}, console, title=text)
            render_line(
                {"error": {"type": text, "message": text, "line": 3}, "input": text}, console
            )
        got = stream.getvalue()
        for style in set(got.split("\x1b[")[1:]):
            assert style[: style.index("m")].replace(";", "").isdecimal()
        bare = got.replace("\x1b[", "")
        assert not {character for character in bare if character < " "} - {"\n"}
        assert not {"\x1b", "\x9b", "\u202e", "\ud800"} & set(bare)
        assert "[red]x[/red]" in got
        assert ":smile:" in got
        assert "\\u202elive" in got
        got.encode("utf-8")

    def test_a_stream_that_cannot_encode_the_tokens(self) -> None:
        raw = io.BytesIO()
        stream = io.TextIOWrapper(raw, encoding="ascii")
        words = attribution(["caf\u00e9", "\u6f22", "\U0001f600"], [1.0, 0.5, 0.2])
        render([explanation(words)], console=Console(file=stream, _environ={}))
        stream.flush()
        assert b"caf\\xe9 +1.00  \\u6f22 +0.50  \\U0001f600 +0.20" in raw.getvalue()

    def test_wide_characters_stay_on_the_page(self) -> None:
        page = printed([explanation(attribution(["\u6f22\u5b57"] * 60, [1.0] * 60))], width=40)
        from rich.cells import cell_len

        assert max(cell_len(line) for line in page.splitlines()) <= 40
