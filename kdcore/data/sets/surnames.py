"""Surnames from 20 languages, as the package faker ships them."""

from __future__ import annotations

from collections import Counter
from importlib import import_module

from kdcore.data.texts.build import Labelled, divided, raw
from kdcore.data.types import RawImages
from kdcore.problems import Problem, RecipeError
from kdcore.registry import Options, register

LOCALES = {
    "Armenian": "hy_AM", "Croatian": "hr_HR", "Dutch": "nl_NL", "English": "en_US", "Estonian": "et_EE",
    "Finnish": "fi_FI", "French": "fr_FR", "Georgian": "ka_GE", "German": "de_AT", "Greek": "el_GR", "Hebrew": "he_IL",
    "Irish": "ga_IE", "Italian": "it_IT", "Russian": "ru_RU", "Slovak": "sk_SK", "Spanish": "es_ES", "Swedish": "sv_SE",
    "Tamil": "ta_IN", "Ukrainian": "uk_UA", "Zulu": "zu_ZA",
}  # fmt: skip
LISTS = ("last_names", "last_names_male", "last_names_female")
LONGEST = 24
TEST_SHARE = 0.2


class Surnames(Options):
    """Surnames has no options."""


@register(
    "dataset",
    "surnames",
    "Surnames from 20 languages, read character by character, about 17,000 names",
    source="The lists of the package faker, https://github.com/joke2k/faker",
    options=Surnames,
)
def surnames(options: Options) -> RawImages:
    """Each name once, and only those that one language alone has; a fixed stratified fifth of them for testing."""
    try:
        lists = {language: _names(locale) for language, locale in LOCALES.items()}
    except ImportError:
        message = "surnames needs the package faker: install it with pip install 'faker>=40,<41'"
        raise RecipeError([Problem("data.source", message)]) from None
    shared = Counter(name for names in lists.values() for name in names)
    pairs = [(name, language) for language, names in lists.items() for name in sorted(names) if shared[name] == 1]
    train, test = divided(Labelled(*zip(*pairs, strict=True)), TEST_SHARE)
    several = sum(count > 1 for count in shared.values())
    note = f"{several} names that several languages share were left out"
    return raw(train, test, LONGEST, notes=(note,))


def _names(locale: str) -> set[str]:
    """All surnames of a locale, without importing the others."""
    provider = import_module(f"faker.providers.person.{locale}").Provider
    return {name.strip() for part in LISTS for name in getattr(provider, part, ()) if name.strip()}
