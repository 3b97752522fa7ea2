"""Values of every type that a column may have, extremes among them, and tables that are filled from them.

`pool` is a table with a column per type and SIZE rows, some NULL; the tables under test take row (g * a + b) % SIZE of it, so
that a plain table and a hypertable get the same rows from one short statement.
"""

import random

SIZE = 61  # prime, so that any stride meets all values

TYPES = """
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN percent AS int CHECK (value BETWEEN 0 AND 100);
"""

STAMPS = ["2024-03-01 00:00:00", "2024-03-01 00:00:01", "2024-03-01 00:01:00", "2024-03-01 01:00:00.123456", "1999-12-31 23:59:59.999999", "2000-01-01 00:00:00",
          "infinity", "-infinity", "4713-01-01 00:00:00 BC", "294276-12-31 23:59:59.999999", "0001-01-01 00:00:00 BC"]
FLOATS = ["0", "-0", "1", "-1", "1.5", "0.1", "-2.25", "100.001", "NaN", "Infinity", "-Infinity"]

# What is tried of each type: SQL's name of it, literals, and whether it has an order (else only equality of its text is asked for).
KINDS = {
    "i2": ("int2", ["-32768", "32767", "0", "1", "-1", "2", "3", "100"]),
    "i4": ("int4", ["-2147483648", "2147483647", "0", "1", "-1", "7", "8", "1000000"]),
    "i8": ("int8", ["-9223372036854775808", "9223372036854775807", "0", "1", "-1", "4611686018427387904", "12345678901"]),
    "f4": ("float4", [*FLOATS, "3.4028235e38", "1.1754944e-38", "1e-45", "16777217"]),
    "f8": ("float8", [*FLOATS, "1.7976931348623157e308", "2.2250738585072014e-308", "5e-324", "0.30000000000000004", "9007199254740993"]),
    "bo": ("bool", ["t", "f"]),
    "da": ("date", ["2024-03-01", "2024-03-02", "infinity", "-infinity", "4713-01-01 BC", "5874897-12-31", "2000-01-01"]),
    "ts": ("timestamp", STAMPS),
    "tz": ("timestamptz", [f"{stamp.removesuffix(' BC')}{'' if 'inf' in stamp else '+00'}{' BC' if stamp.endswith('BC') else ''}" for stamp in STAMPS]),
    "ti": ("time", ["00:00:00", "24:00:00", "12:34:56.789012", "23:59:59.999999", "00:00:00.000001"]),
    "tt": ("timetz", ["00:00:00+00", "24:00:00-15:59", "12:34:56.789012+05:30", "12:34:56+15:59", "07:04:56-00:30"]),
    "iv": ("interval", ["0", "1 day", "24:00:00", "1 month", "30 days", "-1 day", "178000000 years", "-178000000 years", "1 mon -1 day 00:00:00.000001"]),
    "uu": ("uuid", ["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff", "12345678-1234-4234-8234-123456789012", "7f000000-0000-7000-8000-000000000001"]),
    "nu": ("numeric", ["0", "0.00", "1", "1.0", "1.00000", "-1", "NaN", "Infinity", "-Infinity", "1e-20", "123456789012345678901234567890.123456789", "1e1000", "-0.5", "99.99"]),
    "n2": ("numeric(12,3)", ["0", "0.001", "-0.001", "123456789.123", "NaN", "5", "7.5"]),
    "te": ("text", ["", " ", "a", "b", "ab", "a%b_", "Zoë", "日本語", "a" * 300, "line\nbreak", "O''Reilly", "a\\b", "NULL", "x" * 3000]),
    "vc": ("varchar(20)", ["", "a", "abc", "abc ", "ABC", "ünï"]),
    "ch": ("char(6)", ["", "a", "abc", "abcdef", "b"]),
    "na": ("name", ["", "a", "pg_class", "x" * 63]),
    "jb": ("jsonb", ["null", "{}", "[]", '{"a": 1}', '{"a": 1, "b": [true, null, "x"]}', '"s"', "3", "[1, 2, 3]"]),
    "js": ("json", ["null", "{}", '{"a":  1}', '{"b":1,"a":2,"b":3}', " [1] "]),
    "by": ("bytea", ["\\x", "\\x00", "\\xff", "\\x0001020304", "\\x" + "ab" * 500]),
    "ie": ("inet", ["0.0.0.0/0", "10.1.2.3", "10.1.2.0/24", "::", "2001:db8::1/64", "255.255.255.255"]),
    "ci": ("cidr", ["10.0.0.0/8", "10.1.0.0/16", "::/0"]),
    "ma": ("macaddr", ["00:00:00:00:00:00", "08:00:2b:01:02:03"]),
    "en": ("mood", ["sad", "ok", "happy"]),
    "ai": ("int[]", ["{}", "{1}", "{1,2,3}", "{NULL}", "[2:3]={5,6}", "{{1,2},{3,4}}"]),
    "at": ("text[]", ["{}", "{a}", "{a,NULL,\"b c\"}", "{\"\"}"]),
    "ir": ("int4range", ["empty", "(,)", "[1,5)", "[5,)", "[2,3)"]),
    "zr": ("tstzrange", ["empty", "[2024-03-01 00:00+00,2024-03-02 00:00+00)", "(,2024-03-01 00:00+00]", "(,infinity]"]),
    "im": ("int4multirange", ["{}", "{[1,3),[5,9)}", "{(,)}"]),
    "pa": ("pair", ["(1,a)", "(,)", '(2,"x y")', "(1,)"]),
    "pe": ("percent", ["0", "100", "50"]),
    "mo": ("money", ["$0.00", "-$1.00", "$92233720368547758.07", "-$92233720368547758.08"]),
    "vb": ("bit varying", ["", "0", "1", "1010", "1" * 70]),
    "b5": ("bit(5)", ["00000", "11111", "10101"]),
    "tv": ("tsvector", ["", "a b c", "'fat':1A 'cat':2"]),
    "xm": ("xml", ["<a/>", "<a>1</a>", "text", "<a b=''1''> </a>"]),
    "pt": ("point", ["(0,0)", "(1.5,-2)", "(NaN,Infinity)"]),
    "oi": ("oid", ["0", "1", "4294967295"]),
    "ls": ("pg_lsn", ["0/0", "FFFFFFFF/FFFFFFFF", "16/B374D848"]),
    "cq": ('"char"', ["a", "", "z"]),
}
UNORDERED = {"js", "xm", "pt"}
# Equal values of these may look different, so that which of them min() or GROUP BY shows is left to chance.
AMBIGUOUS = {"f4", "f8", "nu", "n2", "iv"}


def quoted(literal, type):
    return "'" + (literal if "''" in literal else literal.replace("'", "''")) + f"'::{type}"


def random_literal(chance, key):
    """A literal of a type: one of its list, or any."""
    type, literals = KINDS[key]
    if chance.random() < 0.7:
        return quoted(chance.choice(literals), type)
    made = {
        "i2": lambda: str(chance.randint(-32768, 32767)), "i4": lambda: str(chance.randint(-2**31, 2**31 - 1)), "i8": lambda: str(chance.randint(-2**63, 2**63 - 1)),
        "f4": lambda: str(round(chance.uniform(-100, 100), chance.randint(0, 6))), "f8": lambda: repr(chance.choice([chance.uniform(-1, 1), chance.randint(-9999, 9999) / 100])),
        "da": lambda: f"2024-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}", "ts": lambda: f"2024-03-{chance.randint(1, 31):02} {chance.randint(0, 23):02}:30:00",
        "tz": lambda: f"2024-03-{chance.randint(1, 31):02} {chance.randint(0, 23):02}:30:00+00", "nu": lambda: f"{chance.randint(-10**30, 10**30)}.{chance.randint(0, 10**9)}",
        "te": lambda: "".join(chance.choice("abcXYZ 019_%") for _ in range(chance.randint(0, 40))), "by": lambda: "\\x" + chance.randbytes(chance.randint(0, 60)).hex(),
        "uu": lambda: f"{chance.getrandbits(128):032x}", "iv": lambda: f"{chance.randint(-50, 50)} hours",
    }.get(key)
    return quoted(made() if made else chance.choice(literals), type)


def pool(seed=0):
    """Statements that make the table `pool`."""
    chance = random.Random(seed)
    keys = list(KINDS)
    rows = []
    for number in range(SIZE):
        cells = []
        for key in keys:
            type, literals = KINDS[key]
            if number < len(literals):
                cells.append(quoted(literals[number], type))
            else:
                cells.append(f"NULL::{type}" if chance.random() < 0.15 else random_literal(chance, key))
        rows.append(f"SELECT {number} AS k, " + ", ".join(f"{cell} AS {key}" for cell, key in zip(cells, keys, strict=True)))
    return [TYPES, "CREATE TABLE pool AS " + " UNION ALL ".join(rows), "ANALYZE pool"]


def columns(keys, suffix=""):
    return "".join(f", {key}{suffix} {KINDS[key][0]}" for key in keys)


def filling(keys, chance, skew=True):
    """Select-list items and joins that give rows g their values: random-looking, in runs, constant, or almost all NULL."""
    items, joins = [], []
    for key in keys:
        shape = chance.choice(["mixed", "mixed", "runs", "constant", "rare", "nulls"]) if skew else "mixed"
        a, b = chance.randrange(1, SIZE), chance.randrange(SIZE)
        row = {"mixed": f"(g * {a} + {b}) % {SIZE}", "runs": f"(g / {chance.choice([10, 100, 1000])} * {a} + {b}) % {SIZE}", "constant": str(b),
               "rare": f"CASE WHEN g % {chance.choice([50, 500])} = 3 THEN (g * {a} + {b}) % {SIZE} END", "nulls": "-1"}[shape]
        items.append(f"p_{key}.{key}")
        joins.append(f"LEFT JOIN pool AS p_{key} ON p_{key}.k = {row}")
    return items, joins
