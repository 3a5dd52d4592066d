"""The codes of countries and continents that location databases know."""

from collections.abc import Iterable, Iterator

COUNTRIES = frozenset(
    "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR "  # noqa: SIM905 - one a line would be 250
    "BS BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ "
    "EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW "
    "GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY "
    "KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV "
    "MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY "
    "QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG "
    "TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS XK YE YT ZA "
    "ZM ZW".split()
)
"""ISO 3166-1 alpha-2, and XK, which MaxMind's databases have for Kosovo."""

CONTINENTS = frozenset({"AF", "AN", "AS", "EU", "NA", "OC", "SA"})

_OTHERS = {"UK": "GB", "EL": "GR", "ENGLAND": "GB", "USA": "US"}
"""What people write for a country, and its code."""


def wrong_countries(codes: Iterable[str]) -> Iterator[str]:
    """What to say of each text that is no code of a country."""
    for code in codes:
        if code not in COUNTRIES:
            meant = _OTHERS.get(code.upper(), code.upper())
            hint = f"; did you mean {meant}?" if meant in COUNTRIES else ""
            yield f"{code!r} is not an ISO 3166 code of two letters{hint}"


def wrong_continents(codes: Iterable[str]) -> Iterator[str]:
    """What to say of each text that is no code of a continent."""
    for code in codes:
        if code not in CONTINENTS:
            hint = f"did you mean {up}?" if (up := code.upper()) in CONTINENTS else _ALLOWED
            yield f"{code!r} is not a code of a continent; {hint}"


_ALLOWED = f"allowed: {', '.join(sorted(CONTINENTS))}"
