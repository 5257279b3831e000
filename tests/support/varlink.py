# SPDX-License-Identifier: GPL-2.0-or-later
"""Varlink interface files: read them, and hold values against their types.

Strict: a reply has all fields of its type and no other, an enum's value is one of
its words, null stands only where the type begins with "?".
"""

import re

TOKEN = re.compile(r"\s*(?:#[^\n]*\n?\s*)*(->|[A-Za-z][A-Za-z0-9_.-]*|[()\[\]?:,])")
PLAIN = {"bool": bool, "int": int, "string": str, "object": dict}


class VarlinkMismatch(Exception):
    """A value is not what the interface says."""


class Interface:
    """One interface: its types, methods (parameters, reply) and errors."""

    def __init__(self, text: str):
        self.types: dict = {}
        self.methods: dict[str, tuple] = {}
        self.errors: dict = {}
        self._tokens = self._split(text)
        self._expect("interface")
        self.name = self._next()
        while self._tokens:
            kind, name = self._next(), self._next()
            if kind == "type":
                self.types[name] = self._type()
            elif kind == "error":
                self.errors[name] = self._type()
            elif kind == "method":
                parameters = self._type()
                self._expect("->")
                self.methods[name] = (parameters, self._type())
            else:
                raise ValueError(f"{kind} {name}")

    @staticmethod
    def _split(text: str) -> list[str]:
        tokens, at = [], 0
        text = text.rstrip() + "\n"
        while at < len(text.rstrip()):
            match = TOKEN.match(text, at)
            if not match:
                raise ValueError(f"not Varlink: {text[at:at + 40]!r}")
            tokens.append(match.group(1))
            at = match.end()
        return tokens

    def _next(self) -> str:
        return self._tokens.pop(0)

    def _expect(self, token: str) -> None:
        found = self._next()
        if found != token:
            raise ValueError(f"{found} where {token} should be")

    def _type(self):
        token = self._next()
        if token == "?":
            return ("maybe", self._type())
        if token == "[":
            key = self._next()
            if key == "]":
                return ("list", self._type())
            self._expect("]")
            return ("map", self._type())
        if token != "(":
            return ("name", token)
        return self._struct_or_enum()

    def _struct_or_enum(self):
        fields, words = {}, []
        while (name := self._next()) != ")":
            if self._tokens[0] == ":":
                self._next()
                fields[name] = self._type()
            else:
                words.append(name)
            if self._tokens[0] == ",":
                self._next()
        return ("enum", words) if words else ("struct", fields)

    def check(self, kind, value, where: str) -> None:
        """VarlinkMismatch unless the value is of the type."""
        form, inner = kind
        if form == "maybe":
            if value is not None:
                self.check(inner, value, where)
        elif form == "list":
            self._demand(isinstance(value, list), where, "a list", value)
            for index, item in enumerate(value):
                self.check(inner, item, f"{where}[{index}]")
        elif form == "map":
            self._demand(isinstance(value, dict), where, "a map", value)
            for key, item in value.items():
                self.check(inner, item, f"{where}[{key}]")
        elif form == "enum":
            self._demand(value in inner, where, f"one of {inner}", value)
        elif form == "struct":
            self._check_struct(inner, value, where)
        elif inner in PLAIN:
            fits = isinstance(value, PLAIN[inner])
            if inner == "int":
                fits = fits and not isinstance(value, bool)
            self._demand(fits, where, inner, value)
        else:
            self.check(self.types[inner], value, where)

    def _check_struct(self, fields: dict, value, where: str) -> None:
        self._demand(isinstance(value, dict), where, "an object", value)
        self._demand(set(value) == set(fields), where, f"{sorted(fields)}",
                     sorted(value))
        for name, kind in fields.items():
            self.check(kind, value[name], f"{where}.{name}")

    @staticmethod
    def _demand(fits: bool, where: str, wanted: str, value) -> None:
        if not fits:
            raise VarlinkMismatch(f"{where} is {value!r}, not {wanted}")
