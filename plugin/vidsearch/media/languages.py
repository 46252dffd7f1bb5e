"""Language tags as files, containers and people write them."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["canonical_tag", "is_language", "language_rank"]

# ISO 639: the code of two letters, those of three (of both kinds), and the English name.
_LANGUAGES = (
    "aa:aar:afar ab:abk:abkhazian ae:ave:avestan af:afr:afrikaans ak:aka:akan am:amh:amharic "
    "an:arg:aragonese ar:ara:arabic as:asm:assamese av:ava:avaric ay:aym:aymara az:aze:azerbaijani "
    "ba:bak:bashkir be:bel:belarusian bg:bul:bulgarian bi:bis:bislama bm:bam:bambara bn:ben:bangla "
    "bo:bod:tib:tibetan br:bre:breton bs:bos:bosnian ca:cat:catalan ce:che:chechen ch:cha:chamorro "
    "co:cos:corsican cr:cre:cree cs:ces:cze:czech cu:chu cv:chv:chuvash cy:cym:wel:welsh "
    "da:dan:danish de:deu:ger:german dv:div:divehi dz:dzo:dzongkha ee:ewe:ewe el:ell:gre:greek "
    "en:eng:english eo:epo:esperanto es:spa:spanish et:est:estonian eu:eus:baq:basque "
    "fa:fas:per:persian ff:ful:fulah fi:fin:finnish fj:fij:fijian fo:fao:faroese fr:fra:fre:french "
    "fy:fry:frisian ga:gle:irish gd:gla:gaelic gl:glg:galician gn:grn:guarani gu:guj:gujarati "
    "gv:glv:manx ha:hau:hausa he:heb:hebrew hi:hin:hindi ho:hmo hr:hrv:croatian ht:hat:haitian "
    "hu:hun:hungarian hy:hye:arm:armenian hz:her:herero ia:ina:interlingua id:ind:indonesian "
    "ie:ile:interlingue ig:ibo:igbo ii:iii ik:ipk:inupiaq io:ido:ido is:isl:ice:icelandic "
    "it:ita:italian iu:iku:inuktitut ja:jpn:japanese jv:jav:javanese ka:kat:geo:georgian "
    "kg:kon:kongo ki:kik:kikuyu kj:kua:kuanyama kk:kaz:kazakh kl:kal:kalaallisut km:khm:khmer "
    "kn:kan:kannada ko:kor:korean kr:kau:kanuri ks:kas:kashmiri ku:kur:kurdish kv:kom:komi "
    "kw:cor:cornish ky:kir:kirghiz la:lat:latin lb:ltz:luxembourgish lg:lug:ganda li:lim:limburgan "
    "ln:lin:lingala lo:lao:lao lt:lit:lithuanian lu:lub lv:lav:latvian mg:mlg:malagasy "
    "mh:mah:marshallese mi:mri:mao:maori mk:mkd:mac:macedonian ml:mal:malayalam mn:mon:mongolian "
    "mr:mar:marathi ms:msa:may:malay mt:mlt:maltese my:mya:bur:burmese na:nau:nauru nb:nob:bokmål "
    "nd:nde ne:nep:nepali ng:ndo:ndonga nl:nld:dut:dutch nn:nno:nynorsk no:nor:norwegian nr:nbl "
    "nv:nav:navajo ny:nya:chichewa oc:oci:occitan oj:oji:ojibwa om:orm:oromo or:ori:oriya "
    "os:oss:ossetian pa:pan:panjabi pi:pli:pali pl:pol:polish ps:pus:pushto pt:por:portuguese "
    "qu:que:quechua rm:roh:romansh rn:run:rundi ro:ron:rum:romanian ru:rus:russian "
    "rw:kin:kinyarwanda sa:san:sanskrit sc:srd:sardinian sd:snd:sindhi se:sme:sami sg:sag:sango "
    "sh:hbs si:sin:sinhala sk:slk:slo:slovak sl:slv:slovenian sm:smo:samoan sn:sna:shona "
    "so:som:somali sq:sqi:alb:albanian sr:srp:serbian ss:ssw:swati st:sot su:sun:sundanese "
    "sv:swe:swedish sw:swa:swahili ta:tam:tamil te:tel:telugu tg:tgk:tajik th:tha:thai "
    "ti:tir:tigrinya tk:tuk:turkmen tl:tgl:tagalog tn:tsn:tswana to:ton:tonga tr:tur:turkish "
    "ts:tso:tsonga tt:tat:tatar tw:twi:twi ty:tah:tahitian ug:uig:uighur uk:ukr:ukrainian "
    "ur:urd:urdu uz:uzb:uzbek ve:ven:venda vi:vie:vietnamese vo:vol:volapük wa:wln:walloon "
    "wo:wol:wolof xh:xho:xhosa yi:yid:yiddish yo:yor:yoruba za:zha:zhuang zh:zho:chi:chinese "
    "zu:zul:zulu "
)
_CODES = {name: row.split(":")[0] for row in _LANGUAGES.split() for name in row.split(":")}
_CODES |= {"nb": "no", "nob": "no", "nn": "no", "nno": "no", "cmn": "zh", "farsi": "fa"}
_UNKNOWN = frozenset({"", "und", "mul", "mis", "zxx", "unknown"})


def canonical_tag(tag: str) -> str:
    """A tag in lower case with the shortest code (``en``, ``pt-br``); empty where it says nothing.

    Args:
        tag: BCP 47 (``pt-BR``), ISO 639 (``por``, ``ger``) or an English name (``German``).
    """
    language, *others = tag.strip().lower().replace("_", "-").split("-")
    return "" if language in _UNKNOWN else "-".join([_CODES.get(language, language), *others])


def is_language(name: str) -> bool:
    """Whether it is a language's code of two letters, or a code or name of more that is known."""
    return len(name) == 2 or name.lower() in _CODES


def language_rank(tag: str, wanted: Sequence[str]) -> tuple[int, int]:
    """The lower, the better a language fits.

    The first number is the place among the wanted ones. ``pt`` fits ``pt-BR`` and the other way
    round, though the same tag fits better. Without a language, the place is that after the last;
    of another language, one more.
    """
    parts = canonical_tag(tag).split("-")
    if parts == [""]:
        return len(wanted), 0
    for place, other in enumerate(wanted):
        others = canonical_tag(other).split("-")
        if all(one == two for one, two in zip(parts, others, strict=False)):
            return place, abs(len(parts) - len(others))
    return len(wanted) + 1, 0
