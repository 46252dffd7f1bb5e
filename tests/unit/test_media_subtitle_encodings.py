"""Subtitle files in the encodings that people save them in."""

from __future__ import annotations

import logging
import random
import sys
import time
import unicodedata
from pathlib import Path

import pytest

from vidsearch.errors import MissingExtraError
from vidsearch.media.subtitles import sidecar_cues

# The first article of the Universal Declaration of Human Rights: its two sentences.
TEXTS = {
    "ar": (
        "يولد جميع الناس أحرارا متساوين في الكرامة والحقوق.",
        "وقد وهبوا عقلا وضميرا وعليهم أن يعامل بعضهم بعضا بروح الإخاء.",
    ),
    "cs": (
        "Všichni lidé rodí se svobodní a sobě rovní co do důstojnosti a práv.",
        "Jsou nadáni rozumem a svědomím a mají spolu jednat v duchu bratrství.",
    ),
    "de": (
        "Alle Menschen sind frei und gleich an Würde und Rechten geboren.",
        "Sie sollen einander im Geist der Brüderlichkeit begegnen.",
    ),
    "el": (
        "Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι στην αξιοπρέπεια και τα δικαιώματα.",
        "Οφείλουν να συμπεριφέρονται μεταξύ τους με πνεύμα αδελφοσύνης.",
    ),
    "fr": (
        "Tous les êtres humains naissent libres et égaux en dignité et en droits.",
        "Ils sont doués de raison et doivent agir dans un esprit de fraternité.",
    ),
    "he": (
        "כל בני האדם נולדו בני חורין ושווים בערכם ובזכויותיהם.",
        "לפיכך חובה עליהם לנהוג איש ברעהו ברוח של אחווה.",
    ),
    "hu": (
        "Minden emberi lény szabadon születik és egyenlő méltósága és joga van.",
        "Egymással szemben testvéri szellemben kell hogy viseltessenek.",
    ),
    "ja": (
        "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。",
        "互いに同胞の精神をもって行動しなければならない。",
    ),
    "ko": (
        "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다.",
        "서로 형제애의 정신으로 행동하여야 한다.",
    ),
    "lt": (
        "Visi žmonės gimsta laisvi ir lygūs savo orumu ir teisėmis.",
        "Jiems suteiktas protas ir sąžinė ir jie turi elgtis kaip broliai.",
    ),
    "pl": (
        "Wszyscy ludzie rodzą się wolni i równi pod względem swej godności i swych praw.",
        "Są oni obdarzeni rozumem i powinni postępować wobec innych w duchu braterstwa.",
    ),
    "ru": (
        "Все люди рождаются свободными и равными в своем достоинстве и правах.",
        "Они должны поступать в отношении друг друга в духе братства.",
    ),
    "th": (
        "มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกันในเกียรติศักดิ์และสิทธิ",
        "ควรปฏิบัติต่อกันด้วยเจตนารมณ์แห่งภราดรภาพ",
    ),
    "tr": (
        "Bütün insanlar hür, haysiyet ve haklar bakımından eşit doğarlar.",
        "Birbirlerine karşı kardeşlik zihniyeti ile hareket etmelidirler.",
    ),
    "uk": (
        "Всі люди народжуються вільними і рівними у своїй гідності та правах.",
        "Вони повинні діяти у відношенні один до одного в дусі братерства.",
    ),
    "vi": (
        "Tất cả mọi người sinh ra đều được tự do và bình đẳng về nhân phẩm và quyền.",
        "Mọi con người cần phải đối xử với nhau trong tình bằng hữu.",
    ),
    "zh-Hans": (
        "人人生而自由，在尊严和权利上一律平等。",
        "他们赋有理性和良心，并应以兄弟关系的精神相对待。",
    ),
    "zh-Hant": (
        "人人生而自由，在尊嚴和權利上一律平等。",
        "他們賦有理性和良心，並應以兄弟關係的精神相對待。",
    ),
}
LEGACY = [
    ("ar", "cp1256"), ("cs", "cp1250"), ("cs", "iso-8859-2"), ("de", "cp1252"), ("el", "cp1253"),
    ("el", "iso-8859-7"), ("fr", "cp1252"), ("he", "cp1255"), ("hu", "cp1250"), ("ja", "cp932"),
    ("ja", "shift_jis"), ("ja", "euc-jp"), ("ja", "iso-2022-jp"), ("ko", "cp949"),
    ("ko", "euc-kr"), ("lt", "cp1257"), ("pl", "cp1250"), ("pl", "iso-8859-2"), ("ru", "cp1251"),
    ("ru", "koi8-r"), ("ru", "cp866"), ("ru", "iso-8859-5"), ("th", "cp874"), ("tr", "cp1254"),
    ("uk", "cp1251"), ("uk", "koi8-u"), ("vi", "cp1258"), ("zh-Hans", "gb18030"),
    ("zh-Hans", "gbk"), ("zh-Hant", "big5"),
]  # fmt: skip


@pytest.mark.parametrize(("language", "encoding"), LEGACY)
@pytest.mark.parametrize("mark", ["srt", "vtt", "tags"])
def test_text_of_an_older_encoding_is_read(
    tmp_path: Path, language: str, encoding: str, mark: str
) -> None:
    path = tmp_path / "a.srt"
    path.write_bytes(_file(language, mark=mark, encoding=encoding))
    assert _texts(path) == list(TEXTS[language])


@pytest.mark.parametrize("language", TEXTS)
@pytest.mark.parametrize(
    "encoding",
    ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"],
)
def test_text_of_unicode_is_read_with_and_without_a_mark(
    tmp_path: Path, language: str, encoding: str
) -> None:
    path = tmp_path / "a.srt"
    path.write_bytes(_file(language, encoding=encoding))
    assert _texts(path) == list(TEXTS[language])


def test_two_languages_in_one_file_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.srt"
    for language, encoding in (("zh-Hans", "gb18030"), ("ru", "cp1251"), ("ja", "cp932")):
        lines = [f"{line}\nAll human beings are born free." for line in TEXTS[language]]
        path.write_bytes(_srt(lines).encode(encoding))
        assert _texts(path) == [line.replace("\n", " ") for line in lines]


def test_damaged_utf8_stays_utf8(tmp_path: Path) -> None:
    path = tmp_path / "a.srt"
    whole = _srt(list(TEXTS["ru"]) * 5).encode()
    path.write_bytes(whole.replace("достоинстве".encode(), b"\xff", 1))
    first, *others = _texts(path)
    assert first == TEXTS["ru"][0].replace("достоинстве", "\ufffd")
    assert others == (list(TEXTS["ru"]) * 5)[1:]


def test_utf16_that_ends_within_a_letter_is_read_up_to_there(tmp_path: Path) -> None:
    path = tmp_path / "a.srt"
    path.write_bytes(_file("ru", encoding="utf-16")[:-1])
    assert _texts(path)[0] == TEXTS["ru"][0]


@pytest.mark.parametrize(
    ("lines", "encoding"),
    [
        (
            ["Perché non è venuta più?", "La città è lontana.", "Così è la vita, più o meno."],
            "cp1252",
        ),
        (["¿Dónde está el niño?", "Mañana será otro día, señor."], "cp1252"),
        (["Não há coração que aguente.", "Amanhã à tarde vamos à praia."], "cp1252"),
        (["Vi åker hem på lördag, älskling.", "Hör du vad jag säger?"], "cp1252"),
        (["Hvor er du på vej hen, søde?", "Så går vi ærligt talt hjem."], "cp1252"),
        (["Das kostet fünf €, nicht mehr.", "Schöne Grüße an die Großmutter."], "iso-8859-15"),
    ],
)
def test_western_text_is_not_taken_for_that_of_another_alphabet(
    tmp_path: Path, lines: list[str], encoding: str
) -> None:
    """`è` and `ù` are letters of Cyrillic in other encodings: "Perchй non и venuta piщ?"."""
    path = tmp_path / "a.srt"
    for times in (1, 5):
        path.write_bytes(_srt(lines * times).encode(encoding))
        assert _texts(path) == lines * times


@pytest.mark.parametrize(
    ("lines", "encodings"),
    [
        (
            ["Où est passé le garçon ?", "Il a été là-bas, à côté de la forêt."],
            ("cp437", "cp850", "mac-roman"),
        ),
        (
            ["Das Mädchen läuft über die Straße.", "Früher war alles größer und schöner."],
            ("cp437", "cp850", "mac-roman"),
        ),
        (["¿Dónde está el niño?", "Mañana será otro día, ¡qué sueño!"], ("cp850", "mac-roman")),
        (["Não sei o que é. Você está aí?", "A lição não será fácil."], ("cp850", "mac-roman")),
        (["Flickan går på gården.", "Älgen åt äpplen, och öarna är små."], ("cp850", "mac-roman")),
        (["Pigen går på gården og spiser æbler.", "Åh nej, øen er smuk."], ("cp850", "cp865")),
        (["Příliš žluťoučký kůň úpěl.", "Ďábelské ódy, řekl měsíc."], ("cp852", "mac-latin2")),
        (
            ["Привет, как твои дела?", "Это очень странная история, я знаю."],
            ("cp855", "mac-cyrillic"),
        ),
        (["Привіт, як твої справи?", "Їжак живе у лісі. Яка дивна історія!"], ("mac-cyrillic",)),
    ],
)
def test_text_of_dos_and_of_the_mac_is_read(
    tmp_path: Path, lines: list[str], encodings: tuple[str, ...]
) -> None:
    path = tmp_path / "a.srt"
    for encoding in encodings:
        for times in (1, 5):
            path.write_bytes(_srt(lines * times).encode(encoding))
            assert _texts(path) == lines * times, encoding


@pytest.mark.parametrize(
    ("line", "encoding"),
    [
        ("Das gibt´s doch nicht – Mädchen, hör’ auf…über alles!", "cp1252"),
        ("Él dijo: “¡No!”—y se fue. Col·lecció d’Érica", "cp1252"),
        ("Na hÉireannaigh agus an tÉan, sa tír úd thall ó dheas", "cp1252"),
        ("МегаФон и ЮTube знают всё: «Мир…труд…май»", "cp1251"),
        ("I don’t know. It’s “fine”. She said“no”and we’re done. That’s “it”.", "cp1252"),
        ("Tá sé i gCúil Aodha, i mBéal Feirste nó ag an bhFéile", "cp1252"),
        ("LaTéLé présente CinéPlus et BéBéTV", "cp1252"),
    ],
    ids=["german", "spanish", "irish", "russian", "missing-spaces", "irish-inside", "brands"],
)
def test_signs_and_capitals_that_words_may_have_change_nothing(
    tmp_path: Path, line: str, encoding: str
) -> None:
    path = tmp_path / "a.srt"
    lines = [f"{number}. {line}" for number in range(3)]
    path.write_bytes(_srt(lines).encode(encoding))
    assert _texts(path) == lines


def test_a_sign_of_currency_beside_quotation_marks_of_windows_is_no_euro(tmp_path: Path) -> None:
    path = tmp_path / "a.srt"
    lines = ["¤ Här är vår sång – för älskling ¤", "Hör du “vad” jag säger…"]
    path.write_bytes(_srt(lines * 5).encode("cp1252"))
    assert _texts(path) == lines * 5


def test_ukrainian_with_the_latin_i_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.srt"
    lines = [
        "Всі люди народжуються вільними і рівними у своїй гідності та правах.",
        "Вони наділені розумом і совістю і повинні діяти у відношенні один до одного в дусі.",
    ]
    lines = [line.replace("і", "i") for line in lines]
    path.write_bytes(_srt(lines * 5).encode("cp1251"))
    assert _texts(path) == lines * 5


def test_text_in_which_each_word_is_of_two_alphabets_is_left_out_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "rare.srt"
    path.write_bytes(_file("ar", encoding="iso-8859-6"))
    with caplog.at_level(logging.WARNING):
        assert sidecar_cues(path) == ()
    assert "rare.srt: their encoding cannot be told: left out" in caplog.text


def test_western_text_with_few_letters_beyond_ascii_is_western(tmp_path: Path) -> None:
    path = tmp_path / "a.srt"
    lines = ["It was a quiet evening in the harbour.", "She ordered a café au lait – and left."]
    path.write_bytes(_srt(lines).encode("cp1252"))
    assert _texts(path) == lines


@pytest.mark.parametrize(
    "text",
    [random.Random(1).randbytes(20_000), bytes(range(256)) * 40, b"\x00" * 4000],
    ids=["random", "every byte", "zeros"],
)
def test_bytes_that_are_no_text_are_left_out_with_a_warning(
    tmp_path: Path, text: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "noise.srt"
    path.write_bytes(b"1\n00:00:01,000 --> 00:00:03,000\n" + text.replace(b"\n", b""))
    with caplog.at_level(logging.WARNING):
        assert sidecar_cues(path) == ()
    assert "noise.srt" in caplog.text
    assert "encoding cannot be told: left out" in caplog.text


@pytest.mark.parametrize("encoding", ["cp1251", "gb18030", "utf-16-le"])
def test_large_file_is_read_quickly(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "large.srt"
    language = "zh-Hans" if encoding == "gb18030" else "ru"
    path.write_bytes(_srt(list(TEXTS[language]) * 2_000).encode(encoding))
    begin = time.process_time()
    assert len(sidecar_cues(path)) == 4_000
    assert time.process_time() - begin < 10


def test_missing_chardet_is_reported_with_its_extra(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "a.srt"
    monkeypatch.setitem(sys.modules, "chardet", None)
    path.write_bytes(_file("ru", encoding="utf-8"))
    assert _texts(path) == list(TEXTS["ru"])
    path.write_bytes(_file("ru", encoding="cp1251"))
    with pytest.raises(MissingExtraError, match="subtitles that are not UTF-8"):
        sidecar_cues(path)


def _texts(path: Path) -> list[str]:
    return [cue.text for cue in sidecar_cues(path)]


def _file(language: str, *, encoding: str, mark: str = "srt") -> bytes:
    lines = list(TEXTS[language])
    if mark == "tags":
        lines = [f'<font color="#ffff00"><i>{line}</i></font>' for line in lines]
    text = _srt(lines)
    if mark == "vtt":
        text = "WEBVTT\n\n" + text.replace(",000", ".000").replace(",900", ".900")
    if encoding == "cp1258":  # it has letters with a circumflex or horn, and tones for themselves
        text = "".join(_without_tone(character) for character in text)
    return text.encode(encoding)


def _srt(lines: list[str]) -> str:
    return "\n".join(
        f"{n}\n{n // 3600:02}:{n // 60 % 60:02}:{n % 60:02},000 --> "
        f"{n // 3600:02}:{n // 60 % 60:02}:{n % 60:02},900\n{line}\n"
        for n, line in enumerate(lines, 1)
    )


def _without_tone(character: str) -> str:
    tones = "\u0300\u0301\u0303\u0309\u0323"
    parts = unicodedata.normalize("NFD", character)
    letter = unicodedata.normalize("NFC", "".join(c for c in parts if c not in tones))
    return letter + "".join(c for c in parts if c in tones)
