"""Do two names look alike?  Unicode TR39 §4, with a small table of our own.

`skeleton` gives names that look alike the same letters; its outcome is only good for comparing with another skeleton.
The table holds what can stand for a letter or digit of a domain: Cyrillic, Greek, Armenian, Coptic, Lisu, Cherokee,
Canadian and phonetic letters; full-width and styled letters, ligatures and accents fall to Unicode's own decomposition.
Beyond TR39: a letter counts for itself with any accent, letter case does not matter, 1, i and l are one, and so are
0 and o, rn and m, vv and w, cl and d. Pure and linear; no more than `MAX_CHARS` characters are looked at.
"""

from __future__ import annotations

import unicodedata

# A host has at most 253 (RFC 1035 §2.3.4), and no program shows more of a display name.
MAX_CHARS = 512

# Each line: a letter or digit, and what looks like it, capitals too. Letters that decompose to it (NFKD) are not named.
_LOOKALIKES: tuple[tuple[str, str], ...] = (
    ("2", "ƧϨᒿꙄꛯꝚ"),
    ("3", "𝈆ƷȜЗзӠӡⳌꝪꞫʒɜᴣ𑣊𖼻"),
    ("4", "Ꮞ𑢯"),
    ("5", "Ƽ𑢻"),
    ("6", "бᏮⳒ𑣕"),
    ("7", "𝈒𐓒𑣆"),
    ("8", "𞣋Ȣȣ৪੪ଃ𐌚"),
    ("9", "৭੧୨൭ⳊꝮ𑢬𑣌𑣖"),
    ("a", "ɑΑαАаᎪᗅ⍺ꓮᴀ𐊠𖽀"),
    ("b", "ƄƅƀɓΒβВвЬьᏏᏴᑲᖯᗷꓐꞴʙ𐊂𐊡𐌁"),
    ("c", "ϲϹСсƈᏟᴄⲤⲥꓚꮯ𐊢𐌂𐐕𐐽𐔜𑣩𑣲🝌"),
    ("d", "ԁԀđɖɗᎠᏧᑯᗞᗪꓒꓓᴅ"),
    ("e", "ΕεЕеҽҼєЄᎬ℮⋿ⴹꓰᴇꬲɇ𐊆𑢦𑢮"),
    ("f", "ſϜϝքƒᖴẝꓝꞘꞙꬵ𐊇𐊥𐔥𑢢𑣂𝈓𝟊"),
    ("g", "ƍɡɠԌԍցᏀᏳᶃꓖɢǥ"),
    ("h", "ΗНнҺһհħɦᎻᏂᕼⲎꓧʜ𐋏"),
    ("i", "ıɩɪɨ˛ͺιіІӏᎥ⍳ꙇꭵ𑣃"),
    ("j", "ͿϳЈјᎫᒍꓙꞲɟʝᴊ"),
    ("k", "ΚκКкƙҝᏦᛕⲔꓗᴋĸ𐔘"),
    ("l", "𞣇ƖǀΙӀłɭɫᏞᒪᛁℐℑ∣⏽ⲒⳐⵏꓡꓲʟ￨│۱١וןا\u05c0ߊ𐊊𐌉𐌠𐐛𐔦𑢣𑢲𖼖𖼨𝈪"),
    ("m", "ΜϺМмᎷᗰᛖⲘꓟᴍɱ𐊰𐌑𑜀𑣣"),
    ("n", "ΝηПпոռƞɲŋⲚꓠɴ𐔓"),
    ("o", "ΟοσОоΘθӨөøɵՕօ۵०০੦૦ଠ୦௦ం౦ಂ೦ംഠ൦ං๐໐ဝ၀ჿዐᴏᴑⲞⲟⵔ〇ꓳꬽס٥𐊒𐊫𐐄𐐬𐓂𐓪߀هھہە𐔖𑓐𑢵𑣈𑣗𑣠"),
    ("p", "ΡρϱРрþᏢᑭ⍴Ⲣⲣꓑᴘƥ𐊕"),
    ("q", "ԛԚգզⵕɋʠ"),
    ("r", "ƦгГᎡᏒᖇᴦⲅꓣꭇꭈꮁʀɍɽ𐒴𖼵𝈖"),
    ("s", "ƽЅѕՏᏕᏚꓢꜱꮪʂ𐊖𐐠𐑈𑣁𖼺"),
    ("t", "ΤτТтƭŧᎢ⊤⟙Ⲧꓔᴛⲧʈ𐊗𐊱𐌕𑢼𖼊🝨"),
    ("u", "ʋυՍսሀᑌᴜʊʉ∪⋃ꓴꞟꭎꭒцЦ𐓎𐓶𑢸𑣘𖽂"),
    ("v", "νѴѵ۷٧ט\u1d20Ꮩᐯ∨⋁ⴸꓦꛟꮩ𐔝𑜆𑢠𑣀𖼈𝈍"),
    ("w", "ɯѡѠωԜԝшШաᎳᏔᴡꓪꮃʍ𑜊𑜎𑜏𑣦𑣯"),
    ("x", "×ΧχХхᕁᕽ᙭᙮ᚷ╳⤫⤬⨯ⲬⵝꓫꞳ𐊐𐊴𐌗𐌢𐔧𑣬"),
    ("y", "ɣʏΥγϒУуҮүƴყᎩᎽᶌỿℽⲨꓬꭚ𐊲𑢤𑣜𖽃"),
    ("z", "ΖᏃᴢꓜꮓʐƶʑ𐋵𑢩𑣄𑣥"),
    ("-", "\u2010\u2011\u2012\u2013\u2014\u2015\u2043\u2212\u02d7\u06d4\u2cba\u30fc\u4e00\ua4fe"),
    (".", "\u3002\u2024\u0660\u06f0\u0701\u0702\ua60e\U00010a50"),
    ("/", "\u2044\u2215\u2571\u29f8\u1735\u2cc6\u30ce\u4e3f"),
    ("ae", "æÆӕӔ"),
    ("oe", "œŒ"),
    ("oo", "∞ꝏꚙꝎꚘ"),
    ("aa", "ꜳꜲ"),
    ("ao", "ꜵꜴ"),
    ("au", "ꜷꜶ"),
    ("av", "ꜹꜻꜸꜺ"),
    ("ay", "ꜽꜼ"),
    ("dz", "ʣ"),
    ("ll", "‖∥ǁװ"),
    ("ls", "ʪ"),
    ("lz", "ʫ"),
    ("tf", "ꝷ"),
    ("ts", "ʦ"),
    ("ue", "ᵫ"),
    ("uo", "ꭣ"),
    ("bl", "Ыы"),
    ("lo", "Юю"),
    ("ss", "ẞ"),
    # Characters of Chinese names that differ by a hair, and Kana that look like Han.
    ("腾", "滕騰"),
    ("己", "已巳"),
    ("未", "末"),
    ("土", "士"),
    ("日", "曰"),
    ("人", "入"),
    ("口", "ロ囗"),
    ("工", "エ"),
    ("力", "カ"),
    ("二", "ニ"),
    ("八", "ハ"),
    ("卜", "ト"),
    ("夕", "タ"),
)
# What one skeleton letter stands for. Two letters for one, so that it does not matter where in a word they stand.
_ALIKE = {"0": "o", "1": "l", "|": "l", "i": "l", "d": "cl", "m": "rn", "w": "vv"}

_ASCII_TABLE = str.maketrans(_ALIKE)
_NAMED = {look: letter for letter, looks in _LOOKALIKES for look in looks}
# Hosts come in small letters: what is only named as a capital stands for its small letter too.
_FIRST = str.maketrans({look.lower(): letter for look, letter in _NAMED.items() if len(look.lower()) == 1} | _NAMED)
# Scripts, by the first word of a character's name. Latin with Han, Kana or Hangul is ordinary (TR39 §5.2).
_LOOKS_LATIN = frozenset({"CYRILLIC", "GREEK", "ARMENIAN", "COPTIC", "CHEROKEE", "LISU", "CANADIAN", "GEORGIAN"})


def skeleton(text: str) -> str:
    """Give the letters that names which look like this one share with it."""
    text = text[:MAX_CHARS]
    if text.isascii():
        return text.lower().translate(_ASCII_TABLE)
    # The table comes first: decomposition makes an ordinary sigma of a lunate one. Capitals are compared before letter
    # case goes: a Greek capital Eta is an H, the small letter an n.
    whole = unicodedata.normalize("NFKD", text.translate(_FIRST))[: 4 * MAX_CHARS]
    plain = _without_marks(whole).translate(_FIRST)
    folded = _without_marks(unicodedata.normalize("NFKD", plain.casefold()))
    return folded.translate(_FIRST).translate(_ASCII_TABLE)


def is_lookalike(host: str, protected: str) -> bool:
    """Say whether a host imitates a protected domain: not the domain or below it, but the same to the eye.

    Args:
        host: as written or in A-labels; a name below the imitation (`www.`) imitates too.
        protected: a domain, in U-labels or A-labels.
    """
    true_labels = to_unicode(protected).split(".")
    labels = to_unicode(host).split(".")
    tail = labels[-len(true_labels) :]
    return tail != true_labels and skeleton(".".join(tail)) == skeleton(".".join(true_labels))


def to_unicode(host: str) -> str:
    """Give a host in small letters with its A-labels decoded, without a trailing dot; never raises."""
    host = host[:MAX_CHARS].lower()
    if not host.isascii():
        for dot in "\u3002\uff0e\uff61":
            host = host.replace(dot, ".")
        host = unicodedata.normalize("NFKC", host).lower()
    host = host.removesuffix(".")
    return ".".join(map(_decoded, host.split("."))) if "xn--" in host else host


def is_mixed_script(label: str) -> bool:
    """Say whether a label in U-form mixes Latin letters with those of a script that looks like Latin."""
    if label.isascii():
        return False
    scripts = {unicodedata.name(c, "").partition(" ")[0] for c in label[:MAX_CHARS] if c.isalpha()}
    return bool(scripts & _LOOKS_LATIN) and len(scripts) > 1


def _without_marks(text: str) -> str:
    # Marks (accents) and what is not seen at all: joiners, bidi controls, soft hyphens, variation selectors.
    return "".join(c for c in text if c.isascii() or unicodedata.category(c) not in {"Mn", "Me", "Cf"})


def _decoded(label: str) -> str:
    if not label.startswith("xn--"):
        return label
    try:
        return unicodedata.normalize("NFKC", label[4:].encode("ascii").decode("punycode"))
    # RFC 3492 decoding fails on anything but letters, digits and hyphens, and on numbers too large.
    except (UnicodeError, ValueError, OverflowError):
        return label
