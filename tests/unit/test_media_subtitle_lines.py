"""From the lines of a subtitle format to plain ones, and to the texts of segments."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest

from vidsearch.media.frames import Cue
from vidsearch.media.subtitles import segment_texts, transcript
from vidsearch.media.subtitles.lines import cues_of, plain_lines


class TestLines:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("<i>so</i> <b>much</b> <font color='red'>markup</font>", ["so much markup"]),
            ("{\\an8}{\\i1}so{\\i0} much", ["so much"]),
            ("{\\p1}m 0 0 l 100 0 100 100{\\p0}drawn", ["drawn"]),
            ("<v Anna Lee>hello</v> <c.yellow>there</c>", ["hello there"]),
            ("one<00:00:01.500><c> two</c>", ["one two"]),
            (
                "fish &amp; chips &lt;3 &quot;now&quot;&nbsp;please",
                ['fish & chips <3 "now" please'],
            ),
            ("- Yes?\n- No!", ["Yes?", "No!"]),
            ("-Yes?", ["Yes?"]),
            ("-5 degrees", ["-5 degrees"]),
            (">> HOST: welcome", ["HOST: welcome"]),
            ("first\\Nsecond\\hhalf\r\nthird", ["first", "second half", "third"]),
            ("a < b, b > a, {braces} stay, I <3 it", ["a < b, b > a, {braces} stay, I <3 it"]),
            ("\u202bright to left\u202c\u200b", ["right to left"]),
            (" \t <i></i>\n&nbsp;", []),
            (
                "Cafe\u0301 &amp; bi\u0300nh \u0111a\u0323\u0306ng",
                ["Caf\xe9 & b\xecnh \u0111\u1eb7ng"],
            ),
        ],
    )
    def test_markup_is_removed(self, text: str, expected: list[str]) -> None:
        assert plain_lines(text) == expected

    @pytest.mark.parametrize(
        "piece", ["<", "{", "{\\", "\\p1", "{}", "<a", "&", "\n", "\\N", "- ", " "]
    )
    def test_hostile_text_is_parsed_quickly(self, piece: str) -> None:
        begin = time.process_time()
        for _ in range(50):
            plain_lines("{" + piece * 1_000_000)
        assert time.process_time() - begin < 2

    def test_rolling_captions_are_said_once(self) -> None:
        cues = cues_of(
            [
                (0.0, 2.0, " \nso today we"),
                (2.0, 2.01, "so today we\n "),
                (2.01, 4.0, "so today we\nare going to"),
                (4.0, 4.01, "are going to\n "),
                (4.01, 6.0, "are going to\nlook at cats"),
            ]
        )
        assert transcript(cues) == "so today we are going to look at cats"
        assert [cue.start for cue in cues] == [0.0, 2.01, 4.01]
        assert cues[0].end == 2.01

    def test_captions_that_grow_are_said_once(self) -> None:
        lines = [(0.0, 1.0, "I"), (1.0, 2.0, "I think"), (2.0, 3.0, "I think so")]
        assert cues_of(lines) == (Cue(0.0, 3.0, "I think so"),)

    def test_lines_drawn_twice_are_said_once(self) -> None:
        assert cues_of([(1, 3, "{\\bord4}hey"), (1, 4, "hey")]) == (Cue(1, 4, "hey"),)

    def test_a_word_repeated_later_is_said_again(self) -> None:
        assert transcript(cues_of([(0, 1, "No."), (2, 3, "No.")])) == "No. No."

    def test_lines_are_put_in_order(self) -> None:
        assert cues_of([(5, 6, "b"), (1, 2, "a")]) == (Cue(1, 2, "a"), Cue(5, 6, "b"))

    def test_times_before_the_first_frame_and_backwards(self) -> None:
        lines = [(-3.0, -1.0, "gone"), (-1.0, 2.0, "cut"), (8.0, 7.0, "backwards")]
        assert cues_of(lines) == (Cue(0.0, 2.0, "cut"), Cue(8.0, 8.0, "backwards"))

    def test_number_of_cues_and_length_of_text_are_limited(self) -> None:
        assert len(cues_of((i, i + 0.5, f"line {i}") for i in range(60_000))) == 50_000
        assert len(transcript(cues_of((i, i + 0.5, "x" * 5000) for i in range(5000)))) < 2_010_000


def text_in(cues: Sequence[Cue], start: float, end: float) -> str:
    return next(segment_texts(cues, [(start, end)]))


class TestSegmentTexts:
    CUES = (Cue(0, 4, "one"), Cue(8.5, 11.5, "two"), Cue(19.8, 22, "three"), Cue(30, 30, "four"))

    @pytest.mark.parametrize(
        ("start", "end", "expected"),
        [
            (0, 10, "one two"),
            (10, 20, "two"),  # both segments hold at least a second of it, but not of "three"
            (20, 30, "three"),
            (30, 40, "four"),
            (40, 50, ""),
            (1, 2, "one"),
        ],
    )
    def test_a_line_belongs_to_the_segments_that_hold_enough_of_it(
        self, start: float, end: float, expected: str
    ) -> None:
        assert list(segment_texts(self.CUES, [(start, end)])) == [expected]

    @pytest.mark.parametrize("length", [0.3, 1.0, 2.5, 7.0, 100.0])
    def test_every_line_belongs_to_a_segment(self, length: float) -> None:
        cues = [Cue(i * 1.37, i * 1.37 + i % 9 * 0.4, f"<{i}>") for i in range(60)]
        segments = [(k * length, (k + 1) * length) for k in range(int(100 / length) + 1)]
        said = " ".join(text_in(cues, *segment) for segment in segments)
        assert {cue.text for cue in cues} == set(said.split())

    @pytest.mark.parametrize("step", [0.7, 3.0, 5.0])
    def test_one_pass_over_all_segments_equals_a_pass_per_segment(self, step: float) -> None:
        cues = [Cue(i * 1.37, i * 1.37 + i % 11 * 1.9, f"<{i}>") for i in range(60)]
        segments = [(k * step, k * step + 5.0) for k in range(120)]
        assert list(segment_texts(cues, segments)) == [text_in(cues, *each) for each in segments]

    def test_lines_that_are_shown_all_the_time_have_an_end(self) -> None:
        cues = [Cue(0, 10_000, "word " * 400) for _ in range(500)]
        segments = [(k * 10.0, k * 10 + 10.0) for k in range(1000)]
        texts = list(segment_texts(cues, segments))
        assert {len(text) for text in texts} <= {3999, 4000}

    def test_transcript_holds_every_cue(self) -> None:
        assert transcript(self.CUES) == "one two three four"
        assert transcript(()) == text_in((), 0, 1) == ""
