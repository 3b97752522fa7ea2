"""Random conditions and queries of every shape, over columns of any types.

A query has one answer: what it sorts by identifies rows, or rows that tie look alike. None of its expressions can fail,
since which rows meet them differs between plans. Where equal values look different (-0.0, 1.00) the query levels them.
"""

ORDERED = ["=", "<>", "<", "<=", ">", ">="]
INTEGERS = {"int", "int2", "int4", "int8", "bigint", "smallint", "percent", "oid"}
FLOATS = {"float4", "float8", "double precision"}
TEXTS = {"text", "varchar(20)", "char(6)", "name"}
UNORDERED = {"json", "xml", "point"}
SUMMED = {"int", "int2", "int4", "int8", "bigint", "smallint", "percent"}


class Shapes:
    """`columns` maps names to types; `literal(type)` writes a value; `keys` sort rows so that only rows that look alike tie."""

    def __init__(self, chance, columns, literal, keys=("id", "time"), table="t", time="time"):
        self.chance, self.columns, self.literal, self.keys, self.table, self.time = chance, columns, literal, keys, table, time

    def pick(self, *options):
        return self.chance.choice(options)

    def column(self, wanted=None):
        names = [name for name, type in self.columns.items() if wanted is None or wanted(type)]
        return self.chance.choice(names) if names else None

    # --- conditions ---

    def condition(self, depth=2, alias=""):
        kind = self.chance.random()
        if depth and kind < 0.15:
            return f"({self.condition(depth - 1, alias)} AND {self.condition(depth - 1, alias)})"
        if depth and kind < 0.3:
            return f"({self.condition(depth - 1, alias)} OR {self.condition(depth - 1, alias)})"
        if depth and kind < 0.36:
            return f"NOT {self.condition(depth - 1, alias)}"
        if kind < 0.4:
            return self.pick("true", "false", "NULL::bool", "1 = 1", "now() > '2000-01-01'")
        if kind < 0.5:
            return self.row_condition(alias)
        return "(" + self.simple(self.column(), alias) + ")"

    def row_condition(self, alias):
        a, b = (self.column(lambda type: type in SUMMED) for _ in range(2))
        if not a:
            return "true"
        type = self.columns[a]
        return self.pick(f"({alias}{a}, {alias}{b}) >= ({self.literal(type)}, {self.literal(self.columns[b])})", f"{alias}{a} < {alias}{b}",
                         f"{alias}{a} = {alias}{b}", f"{alias}{a}::numeric + {alias}{b} > {self.literal(type)}", f"({alias}{a}, {alias}{b}) IS NOT NULL")

    def simple(self, name, alias=""):
        type = self.columns[name]
        x = alias + name
        if type in UNORDERED:
            return self.pick(f"{x} IS NULL", f"{x} IS NOT NULL", f"{x}::text = ({self.literal(type)})::text", f"length({x}::text) > 4")
        special = self.special(x, type)
        if special and self.chance.random() < 0.4:
            return self.chance.choice(special)

        def value():
            return self.literal(type)

        return self.pick(
            lambda: f"{x} {self.pick(*ORDERED)} {value()}", lambda: f"{x} {self.pick(*ORDERED)} {value()}", lambda: f"{value()} {self.pick(*ORDERED)} {x}",
            lambda: f"{x} = {value()}", lambda: f"{x} IS NULL", lambda: f"{x} IS NOT NULL", lambda: f"{x} BETWEEN {value()} AND {value()}",
            lambda: f"{x} NOT BETWEEN {value()} AND {value()}", lambda: f"{x} BETWEEN SYMMETRIC {value()} AND {value()}",
            lambda: f"{x} IN ({value()}, {value()}, {value()})", lambda: f"{x} NOT IN ({value()}, {value()})", lambda: f"{x} = ANY (ARRAY[{value()}, {value()}])",
            lambda: f"{x} {self.pick('<', '>=')} ALL (ARRAY[{value()}, {value()}])", lambda: f"{x} {self.pick('<', '>', '<>')} ANY (ARRAY[{value()}, {value()}])",
            lambda: f"{x} IS DISTINCT FROM {value()}", lambda: f"{x} IS NOT DISTINCT FROM {value()}", lambda: f"coalesce({x}, {value()}) = {value()}",
            lambda: f"CASE WHEN {x} > {value()} THEN {x} = {value()} ELSE {x} IS NULL END", lambda: f"({x} > {value()}) IS {self.pick('TRUE', 'NOT TRUE', 'FALSE', 'UNKNOWN')}",
            lambda: f"NOT ({x} <= {value()})", lambda: f"{x} = {x}", lambda: f"{x} >= {value()} AND {x} < {value()}", lambda: f"nullif({x}, {value()}) IS NULL",
            lambda: f"greatest({x}, {value()}) = {x}")()

    def special(self, x, type):
        """Operators of a type."""
        value = self.literal(type)
        if type in TEXTS:
            pattern = self.pick("a%", "%b%", "_", "", "%", "%\\_", "Z%", "x%x", "a\\%b_")
            return [f"{x} LIKE '{pattern}'", f"{x} NOT LIKE '{pattern}'", f"{x} ILIKE 'A%'", f"{x} ~ '^a|b$'", f"{x} !~* 'A'", f"length({x}) > 1", f"upper({x}) = 'A'",
                    f"{x} || '' = {value}", f"{x}::text COLLATE \"C\" < 'a'", f"{x}::text ^@ 'a'", f"{x} SIMILAR TO '(a|b)%'", f"{x}::text LIKE ANY (ARRAY['a%', '%b'])"]
        if type in INTEGERS - {"oid"}:
            return [f"{x} % 3 = 0", f"{x}::bigint / 2 > 1", f"{x} = 7.5", f"{x} > 1.5::float8", f"{x} < 3000000000", f"{x}::float8 <> 'NaN'", f"{x} IN (1, 2, NULL)", f"{x} NOT IN (1, NULL)",
                    f"{x} = 2::bigint", f"{x} >= 1::smallint", f"{x}::text LIKE '1%'", f"{x} <> 0 AND {x} <> 1"]
        if type in FLOATS:
            return [f"{x} = 'NaN'", f"{x} > 1", f"{x} < 0.1::float4", f"{x} >= 0.1", f"{x} = -0.0", f"{x} IN (0, 'NaN', 1.5)", f"{x} <> 'Infinity'", f"{x} < 'NaN'", f"{x} = 1.5::float4",
                    f"{x} = 0.1::numeric"]
        if type == "bool":
            return [x, f"NOT {x}", f"{x} IS TRUE", f"{x} IS NOT TRUE", f"{x} IS FALSE", f"{x} IS UNKNOWN", f"{x} IS NOT UNKNOWN", f"{x} = false", f"{x} <> true"]
        if type in ("date", "timestamp", "timestamptz"):
            return [f"{x} < now()", f"{x} = '2024-03-01'", f"{x} < date '2024-03-02'", f"{x} >= timestamp '2024-03-01 00:00:01'", f"{x} > timestamptz '2024-03-01 00:00+01'",
                    f"{x} > 'infinity'", f"{x} = '-infinity'", f"isfinite({x})", f"extract(dow FROM {x}) = 5"]
        if type.startswith("numeric"):
            return [f"{x} = 1", f"{x} > 0.5", f"{x} = 'NaN'", f"trunc({x}) = {x}", f"{x} IN (0, 1)"]
        if type == "jsonb":
            return [f"{x} @> '{{\"a\": 1}}'", f"{x} ->> 'a' = '1'", f"{x} ? 'a'", f"{x} -> 'b' IS NOT NULL", f"jsonb_typeof({x}) = 'object'"]
        if type.endswith("[]"):
            return [f"{x} @> {value}", f"{x} && {value}", f"cardinality({x}) > 1", f"{x}[1] IS NULL"]
        if type.endswith("range"):
            return [f"{x} && {value}", f"{x} @> {value}", f"isempty({x})", f"{x} <@ {value}"]
        if type in ("inet", "cidr"):
            return [f"{x} <<= inet '10.0.0.0/8'", f"family({x}) = 4", f"host({x}) = '10.1.2.3'"]
        if type == "tsvector":
            return [f"{x} @@ 'a & b'::tsquery", f"{x} @@ 'cat'::tsquery"]
        if type == "bytea":
            return [f"length({x}) > 3", f"substring({x} FROM 1 FOR 1) = '\\x00'"]
        if type == "pair":
            return [f"({x}).a = 1", f"({x}).b LIKE 'x%'", f"{x} = ROW(1, 'a')::pair"]
        if type == "interval":
            return [f"{x} = interval '24 hours'", f"{x} > interval '0'"]
        return []

    # --- output ---

    def level(self, expression, type):
        """The expression, so that equal values look alike."""
        if type in FLOATS:
            return f"{expression} + 0.0::float4" if type == "float4" else f"{expression} + 0.0"
        if type.startswith("numeric"):
            return f"trim_scale({expression})"
        if type == "interval":
            return f"extract(epoch FROM {expression})"
        return expression

    def key(self, alias=""):
        """Something to group or sort by."""
        name = self.column(lambda type: type not in UNORDERED)
        type = self.columns[name]
        if type in ("timestamptz", "timestamp") and name == self.time and self.chance.random() < 0.5:
            return f"time_bucket('{self.pick('1 hour', '1 day', '7 minutes')}', {alias}{name})"
        if type in SUMMED and self.chance.random() < 0.2:
            return f"{alias}{name} % 4"
        if type in TEXTS and self.chance.random() < 0.2:
            return f"length({alias}{name})"
        return self.level(alias + name, type)

    def aggregate(self, alias=""):
        name = self.column()
        type = self.columns[name]
        x = alias + name
        options = [f"count({x})", "count(*)"]
        if type not in UNORDERED:
            options += [f"count(DISTINCT {x})"]
        if type in SUMMED | FLOATS | {"numeric", "text", "date", "timestamp", "timestamptz", "interval", "inet", "time", "timetz", "money", "mood", "char(6)", "pg_lsn"}:
            options += [self.level(f"min({x})", type), self.level(f"max({x})", type)] * 2
        if type in SUMMED:
            options += [f"sum({x})", f"avg({x})", f"stddev({x})", f"var_pop({x})", f"sum({x}::numeric)", f"count({x}) * 2", f"bit_or({x})" if type != "percent" else "count(*)"]
        if type in FLOATS:
            options += [f"count({x} + 1)", f"sum(({x} > 1)::int)"]
        if type == "bool":
            options += [f"bool_and({x})", f"bool_or({x})", f"every({x})"]
        if type in TEXTS:
            options += [f"md5(string_agg({x}::text, ',' ORDER BY {x}::text COLLATE \"C\"))", f"max(length({x}))"]
        chosen = self.chance.choice(options)
        if self.chance.random() < 0.2 and chosen.endswith(")") and chosen.count("(") == 1:
            return f"{chosen} FILTER (WHERE {self.condition(1, alias)})"
        return chosen

    def order(self, alias=""):
        names = [self.column(lambda type: type not in UNORDERED) for _ in range(self.pick(0, 1, 1, 2))]
        if self.chance.random() < 0.4:
            names.insert(0, self.time)
        return ", ".join([f"{alias}{name}{self.pick('', ' DESC', ' ASC NULLS FIRST', ' DESC NULLS LAST')}" for name in names]
                         + [f"{alias}{key}{self.pick('', ' DESC')}" for key in self.keys])

    def output(self, alias=""):
        """Columns; first those that identify the row."""
        names = [self.column() for _ in range(self.pick(0, 1, 2, 4))]
        return ", ".join(alias + name for name in [*self.keys, *names])

    # --- queries ---

    def query(self):
        return self.chance.choice([self.scan, self.scan, self.total, self.total, self.groups, self.groups, self.top, self.top, self.distinct, self.window, self.join, self.semijoin, self.lateral,
                                   self.setop, self.cte, self.rows, self.subquery, self.sample, self.grouping_sets, self.system_columns])()

    def where(self, alias=""):
        return f" WHERE {self.condition(2, alias)}" if self.chance.random() < 0.85 else ""

    def scan(self):
        return f"SELECT {self.output()} FROM {self.table}{self.where()}"

    def total(self):
        return f"SELECT {', '.join(self.aggregate() for _ in range(self.pick(1, 2, 4)))} FROM {self.table}{self.where()}"

    def groups(self):
        keys = [self.key() for _ in range(self.pick(1, 1, 2))]
        having = self.pick("", "", " HAVING count(*) > 1")
        numbers = ", ".join(str(number + 1) for number in range(len(keys)))
        tail = f" ORDER BY {numbers}{self.pick('', ' LIMIT 3')}" if self.chance.random() < 0.4 else ""
        return f"SELECT {', '.join(keys)}, {', '.join(self.aggregate() for _ in range(self.pick(1, 2)))} FROM {self.table}{self.where()} GROUP BY {numbers}{having}{tail}"

    def grouping_sets(self):
        a, b = self.column(lambda type: type in SUMMED), self.column(lambda type: type in TEXTS or type in SUMMED)
        sets = self.pick(f"ROLLUP ({a}, {b})", f"CUBE ({a}, {b})", f"GROUPING SETS (({a}), ({b}), ())")
        return f"SELECT {a}, {b}, count(*), grouping({a}, {b}) FROM {self.table}{self.where()} GROUP BY {sets}"

    def top(self):
        limit = self.pick("", " LIMIT 1", " LIMIT 7", " LIMIT 3 OFFSET 5", " OFFSET 20", " FETCH FIRST 4 ROWS ONLY")
        return f"SELECT {self.output()} FROM {self.table}{self.where()} ORDER BY {self.order()}{limit}"

    def distinct(self):
        if self.chance.random() < 0.5:
            return f"SELECT DISTINCT {self.key()}, {self.key()} FROM {self.table}{self.where()}"
        name = self.column(lambda type: type not in UNORDERED)
        keys = ", ".join(f"{key}{self.pick('', ' DESC')}" for key in self.keys)
        return f"SELECT DISTINCT ON ({name}) {self.level(name, self.columns[name])}, {', '.join(self.keys)} FROM {self.table}{self.where()} ORDER BY {name}{self.pick('', ' DESC')}, {keys}"

    def window(self):
        partition = self.column(lambda type: type not in UNORDERED)
        keys = ", ".join(self.keys)
        number = self.column(lambda type: type in SUMMED)
        call = self.pick("row_number()", f"lag({number})", f"sum({number})", "count(*)", f"first_value({number})", "ntile(3)", "rank()")
        return f"SELECT {keys}, {call} OVER (PARTITION BY {partition} ORDER BY {keys}) FROM {self.table}{self.where()}"

    def join(self):
        name = self.column(lambda type: type not in UNORDERED)
        on = self.pick(f"a.{self.keys[0]} = b.{self.keys[0]}", f"a.{self.time} = b.{self.time}", f"a.{self.keys[0]} = b.{self.keys[0]} AND a.{name} = b.{name}")
        side = self.pick("", "LEFT ", "RIGHT ", "FULL ")
        return (f"SELECT a.{self.keys[0]}, b.{self.keys[0]}, b.{name} FROM {self.table} AS a {side}JOIN {self.table} AS b ON {on} WHERE {self.condition(1, 'a.')}"
                f" AND {self.condition(1, 'b.')} AND a.{self.keys[0]} < {self.pick(20, 60)}")

    def semijoin(self):
        name = self.column(lambda type: type not in UNORDERED)
        inner = self.pick(f"{name} IN (SELECT {name} FROM {self.table} AS b WHERE {self.condition(1, 'b.')})",
                          f"EXISTS (SELECT FROM {self.table} AS b WHERE b.{self.keys[0]} = a.{self.keys[0]} + 1 AND {self.condition(1, 'b.')})",
                          f"NOT EXISTS (SELECT FROM {self.table} AS b WHERE b.{self.keys[0]} = a.{self.keys[0]} * 2 AND {self.condition(1, 'b.')})",
                          f"{name} NOT IN (SELECT {name} FROM {self.table} AS b WHERE {name} IS NOT NULL AND {self.condition(1, 'b.')})")
        return f"SELECT {self.output('a.')} FROM {self.table} AS a WHERE {inner} AND {self.condition(1, 'a.')}"

    def lateral(self):
        name = self.column(lambda type: type not in UNORDERED)
        keys = ", ".join(f"b.{key} DESC" for key in self.keys)
        return (f"SELECT x.i, l.* FROM generate_series(1, 5) AS x(i), LATERAL (SELECT b.{', b.'.join(self.keys)}, b.{name} FROM {self.table} AS b"
                f" WHERE b.{self.keys[0]} % 5 = x.i AND {self.condition(1, 'b.')} ORDER BY {keys} LIMIT 2) AS l")

    def setop(self):
        name = self.column(lambda type: type not in UNORDERED)
        x = self.level(name, self.columns[name])
        return f"SELECT {x} FROM {self.table}{self.where()} {self.pick('UNION', 'UNION ALL', 'EXCEPT', 'EXCEPT ALL', 'INTERSECT', 'INTERSECT ALL')} SELECT {x} FROM {self.table}{self.where()}"

    def cte(self):
        return (f"WITH a AS {self.pick('', 'MATERIALIZED ', 'NOT MATERIALIZED ')}(SELECT * FROM {self.table}{self.where()}), b AS (SELECT {self.keys[0]} FROM a WHERE {self.condition(1)})"
                f" SELECT (SELECT count(*) FROM a), count(*), max({self.keys[0]}) FROM b")

    def rows(self):
        return self.pick(f"SELECT t FROM {self.table} AS t{self.where()}", f"SELECT to_jsonb(t)::text FROM {self.table} AS t{self.where()}", f"SELECT count(t) FROM {self.table} AS t{self.where()}",
                         f"SELECT md5(t::text) FROM {self.table} AS t{self.where()}", f"SELECT t.* FROM {self.table} AS t{self.where()}", f"SELECT count(*) FROM {self.table} AS t WHERE t IS NOT NULL",
                         f"SELECT FROM {self.table}{self.where()}")

    def subquery(self):
        name = self.column(lambda type: type in SUMMED | FLOATS | {"text", "date", "timestamptz"})
        if not name:
            return self.total()
        call = self.pick("min", "max")
        return f"SELECT {self.output()} FROM {self.table} WHERE {name} {self.pick('=', '<>', '<=')} (SELECT {call}({name}) FROM {self.table}{self.where()})"

    def sample(self):
        return f"SELECT {self.output()} FROM {self.table} TABLESAMPLE {self.pick('SYSTEM', 'BERNOULLI')} (100){self.where()}"

    def system_columns(self):
        first = self.keys[0]
        return self.pick(f"SELECT count(*), count(DISTINCT (tableoid, ctid)) FROM {self.table}{self.where()}",
                         f"SELECT a.{first}, b.{first} FROM {self.table} AS a JOIN {self.table} AS b ON a.tableoid = b.tableoid AND a.ctid = b.ctid WHERE {self.condition(1, 'a.')}",
                         f"SELECT bool_and(tableoid IS NOT NULL AND ctid IS NOT NULL AND xmin IS NOT NULL) FROM {self.table}{self.where()}")
