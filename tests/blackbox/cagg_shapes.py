"""Random continuous aggregates, and random queries on the table that they are defined over.

In every text `{t}` stands for the table: the hypertable `h`, or its plain twin `p`; a query writes it as `{t} AS t`. Values are such
that each query has one answer: sums of floats are exact in any order, and what `first` and `last` go by is unique.
"""

import dataclasses
import datetime

COLUMNS = {"id": "bigint", "dev": "int", "s": "text", "v": "float8", "n": "int", "q": "numeric", "b": "bool", "c": "text COLLATE no_case"}


@dataclasses.dataclass(frozen=True)
class Axis:
    """A time column: its type, and a grid of times on it."""

    name: str
    type: str
    start: str
    grid: str
    steps: int
    chunks: tuple
    widths: tuple
    truncations: tuple = ()
    zones: bool = False

    @property
    def unique(self):
        """Whether a row's id makes its time unique, as microseconds."""
        return self.type.startswith("timestamp")

    def at(self, k, id=None):
        """The SQL of step k, which may be an expression."""
        if self.type in ("int", "bigint"):
            return f"(({k}) * {self.grid})::{self.type}"
        base = f"({self.type} '{self.start}' + ({k}) * {self.grid})" if self.type != "date" else f"(date '{self.start}' + ({k})::int)"
        return base if id is None or not self.unique else f"({base} + ({id}) * interval '1 microsecond')"

    def literal(self, k, id):
        """What COPY reads as step k."""
        if self.type in ("int", "bigint"):
            return str(k * int(self.grid))
        if self.type == "date":
            return str(datetime.date.fromisoformat(self.start) + datetime.timedelta(days=k))
        amount, unit = self.grid.split("'")[1].split()
        start = datetime.datetime.fromisoformat(self.start.removesuffix("+00"))
        time = start + datetime.timedelta(**{unit: int(amount)}) * k + datetime.timedelta(microseconds=id)
        return time.isoformat(" ") + ("+00" if self.type == "timestamptz" else "")

    def value(self, position):
        """The SQL of a position, as the catalog has it."""
        if self.type in ("int", "bigint"):
            return f"({position})::{self.type}"
        if self.type == "date":
            return f"(date '2000-01-01' + ({position})::int)"
        epoch = "timestamptz '2000-01-01 00:00+00'" if self.type == "timestamptz" else "timestamp '2000-01-01'"
        return f"({epoch} + ({position}) * interval '1 microsecond')"


def interval(text):
    return f"interval '{text}'"


def intervals(*texts):
    return tuple(map(interval, texts))


SHORT = ("15 minutes", "30 minutes", "1 hour", "2 hours", "6 hours", "12 hours", "1 day")
MIDDLE = ("1 hour", "6 hours", "1 day", "2 days", "7 days", "14 days")
LONG = ("1 day", "7 days", "1 month", "3 months", "1 year")
HOURS, DAYS, MONTHS = ("minute", "hour", "day"), ("hour", "day", "week"), ("day", "week", "month", "quarter", "year")
AXES = (
    # Europe's clocks change on 2024-03-31 and 2024-10-27.
    Axis("short", "timestamptz", "2024-03-29 00:00:00+00", "interval '10 minutes'", 500, intervals("6 hours", "1 day", "25 hours", "10 hours"), SHORT, HOURS, True),
    # Caracas went from 4 1/2 hours behind UTC to 4 on 2016-05-01.
    Axis("shifted", "timestamptz", "2016-04-26 00:00:00+00", "interval '20 minutes'", 500, intervals("1 day", "3 days", "25 hours"), SHORT, DAYS, True),
    Axis("middle", "timestamptz", "2024-10-14 00:00:00+00", "interval '2 hours'", 330, intervals("3 days", "7 days", "50 hours"), MIDDLE, DAYS, True),
    Axis("long", "timestamptz", "2023-12-05 00:00:00+00", "interval '12 hours'", 320, intervals("20 days", "30 days", "365 hours"), LONG, MONTHS, True),
    Axis("local", "timestamp", "2024-02-20 00:00:00", "interval '4 hours'", 240, intervals("4 days", "7 days", "100 hours"), MIDDLE + LONG[:3], DAYS + MONTHS),
    Axis("date", "date", "2023-11-20", "1", 240, intervals("20 days", "30 days", "11 days"), LONG[1:], MONTHS),
    Axis("int", "int", "", "2", 300, ("50", "64", "100"), (5, 10, 20, 30, 60, 100)),
    Axis("bigint", "bigint", "", "7", 300, ("300", "500"), (7, 14, 28, 50, 100, 350)),
)
ZONES = ("Europe/Berlin", "UTC", "America/St_Johns", "Asia/Kathmandu", "America/Caracas", "America/Caracas")


@dataclasses.dataclass(frozen=True)
class Bucket:
    """time_bucket with its further arguments."""

    width: object
    extra: str = ""

    def sql(self, column="t.time"):
        width = self.width if isinstance(self.width, int) else f"'{self.width}'"
        return f"time_bucket({width}, {column}{self.extra})"


@dataclasses.dataclass
class Definition:
    """A continuous aggregate: the parts of its query. `parent` is another one that it is defined over, else it is over {t}."""

    name: str
    bucket: Bucket
    groups: list
    aggregates: list
    where: str = ""
    having: str = ""
    join: str = ""
    parent: object = None
    materialized_only: bool = True
    no_data: bool = False
    hidden: tuple = ()
    options: str = ""

    @property
    def outputs(self):
        return ["b", *(alias for _, alias in self.groups if alias not in self.hidden), *(alias for _, alias in self.aggregates)]

    def query(self, source):
        time = "t.b" if self.parent else "t.time"
        items = [f"{self.bucket.sql(time)} AS b", *(f"{sql} AS {alias}" for sql, alias in self.groups if alias not in self.hidden), *(f"{sql} AS {alias}" for sql, alias in self.aggregates)]
        keys = ", ".join([self.bucket.sql(time), *(sql for sql, _ in self.groups)])
        return (f"SELECT {', '.join(items)} FROM {source} AS t{self.join}{f' WHERE {self.where}' if self.where else ''} GROUP BY {keys}"
                f"{f' HAVING {self.having}' if self.having else ''}")

    def create(self):
        source = self.parent.name if self.parent else "h"
        return (f"CREATE MATERIALIZED VIEW {self.name} WITH (timescaledb.continuous, timescaledb.materialized_only = {str(self.materialized_only).lower()}{self.options})"
                f" AS {self.query(source)}{' WITH NO DATA' if self.no_data else ''}")


# What can be rolled up from parts.
DECOMPOSED = ("count(*)", "count(t.v)", "sum(t.v)", "avg(t.v)", "min(t.v)", "max(t.v)", "stddev(t.v)", "var_pop(t.v)", "sum(t.n)", "avg(t.n)", "variance(t.n)", "stddev_pop(t.n)", "sum(t.q)",
              "avg(t.q)", "stddev_samp(t.q)", "var_samp(t.q)", "max(t.id)", "max(t.n)", "min(t.s)", "max(t.time)", "bool_and(t.b)", "bool_or(t.b)", "every(t.b)", "bit_and(t.n)", "bit_or(t.n)",
              "count(t.s)", "first(t.v, t.id)", "last(t.s, t.id)", "last(t.n, t.id)", "sum(t.n::bigint)", "avg(t.v + 1)", "sum(t.v * 2)", "max(t.v - t.n)", "count(*) FILTER (WHERE t.b)",
              "sum(t.n) FILTER (WHERE t.dev > 2)", "avg(t.v) FILTER (WHERE t.b IS NOT TRUE)", "avg(t.id)", "sum(t.v::real)", "avg(t.n::smallint)", "last(t.q, t.id)")
UNIQUE_TIMES = ("first(t.v, t.time)", "last(t.v, t.time)", "last(t.s, t.time)", "first(t.n, t.time)")
WHOLE = ("count(DISTINCT t.s)", "percentile_cont(0.95) WITHIN GROUP (ORDER BY t.v)", "percentile_disc(0.5) WITHIN GROUP (ORDER BY t.n)", "string_agg(t.s, ',' ORDER BY t.id)",
         "array_agg(t.n ORDER BY t.id DESC)", "longest(t.s)", "sum(DISTINCT t.n)")
COMBINED = ("max(t.v) - min(t.v)", "sum(t.v) / nullif(count(t.v), 0)", "coalesce(sum(t.n), 0)", "round(avg(t.q), 2)", "count(*) * 2 + 1", "last(t.v, t.id) - first(t.v, t.id)",
            "CASE WHEN count(*) > 3 THEN max(t.n) END")
GROUPS = ("t.dev", "t.dev", "t.s", "t.b", "t.n % 3", "coalesce(t.s, 'none')", "t.dev % 2", "upper(t.s)", "t.q > 5", "t.c")
SETUP = """
CREATE COLLATION no_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE FUNCTION longer(text, text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT CASE WHEN length($2) > length(coalesce($1, '')) OR length($2) = length($1) AND $2 > $1 THEN $2 ELSE $1 END $$;
CREATE AGGREGATE longest(text) (sfunc = longer, stype = text);
CREATE TABLE dim (dev int PRIMARY KEY, label text);
INSERT INTO dim SELECT g, 'label ' || g % 3 FROM generate_series(1, 4) AS g;
"""
# Of a column of the parent, by the start of its name. Of equal numerics any one may be the greatest, and they may have other scales.
OVER = {"c": ("sum({})", "max({}::float8)", "avg({})", "min({}::float8)"), "o": ("count({})", "count(DISTINCT {})"), "g": ("min({}::text)", "count(DISTINCT {})")}


class Definer:
    """Makes definitions over an axis."""

    def __init__(self, chance, axis):
        self.chance, self.axis, self.number = chance, axis, 0

    def pick(self, *options):
        return self.chance.choice(options)

    def some(self, options, low, high):
        return self.chance.sample(options, min(len(options), self.chance.randint(low, high)))

    def extra(self, width):
        """Further arguments of time_bucket."""
        if self.chance.random() < 0.6:
            return ""
        type = self.axis.type
        if type in ("int", "bigint"):
            return self.pick(", 3", ", -2")
        months = isinstance(width, str) and ("month" in width or "year" in width)
        origin = f", origin => {type} '{self.pick('2024-01-01', '2000-02-05', '2030-01-01')}{'+00' if type == 'timestamptz' else ''}'"
        shift = f", \"offset\" => interval '{self.pick('1 month') if months else self.pick('1 hour', '-30 minutes', '3 days') if type != 'date' else self.pick('1 day', '3 days')}'"
        if not self.axis.zones:
            return self.pick(origin, shift)
        zone = f", '{self.pick(*ZONES)}'"
        return self.pick(zone, zone, origin, shift, f"{zone}{origin}")

    def bucket(self, widths=None):
        width = self.pick(*(widths or self.axis.widths[:-1]))
        return Bucket(width, self.extra(width))

    def named(self):
        self.number += 1
        return f"agg_{self.number}"

    def raw(self):
        """A definition over the table."""
        candidates = DECOMPOSED + (UNIQUE_TIMES if self.axis.unique else ())
        chosen = self.some(candidates, 1, 6) + (self.some(WHOLE, 1, 2) if self.chance.random() < 0.35 else []) + (self.some(COMBINED, 1, 2) if self.chance.random() < 0.3 else [])
        groups = list(dict.fromkeys(self.pick(*GROUPS) for _ in range(self.pick(0, 1, 1, 2, 2))))
        join = ""
        if self.chance.random() < 0.08:
            join = " JOIN dim ON dim.dev = t.dev"
            groups.append("dim.label")
        made = Definition(self.named(), self.bucket(), [(sql, f"g{number}") for number, sql in enumerate(groups)],
                          [(sql, self.alias(sql, number)) for number, sql in enumerate(chosen)], join=join)
        if self.chance.random() < 0.2:
            made.where = self.pick("t.dev <> 3", "t.b", "t.v IS NOT NULL", "t.s IN ('x', 'yy')", "t.n > 2 AND t.dev < 4", "t.q >= 1.5")
        if self.chance.random() < 0.07:
            made.having = self.pick("count(*) > 1", "sum(t.n) > 3", "max(t.v) IS NOT NULL")
        return self.finish(made)

    def over(self, parent):
        """A definition over another one, or None: buckets must be made of whole buckets."""
        wider = multiples(parent.bucket.width, self.axis.widths)
        if parent.bucket.extra.startswith(", '") and "origin" in parent.bucket.extra and not length(parent.bucket.width)[0]:
            # Counted from an instant that need not be midnight on the zone's clocks, where months begin.
            wider = [width for width in wider if not length(width)[0]]
        columns = [alias for alias in parent.outputs if alias != "b"]
        if not wider or not columns:
            return None
        groups = [f"t.{alias}" for alias in columns if alias.startswith("g") and self.chance.random() < 0.6]
        aggregates = ["count(*)"] + [self.pick(*OVER[alias[0]]).format(f"t.{alias}") for alias in self.some(columns, 1, 4)]
        made = Definition(self.named(), Bucket(self.pick(*wider), parent.bucket.extra), [(sql, f"g{number}") for number, sql in enumerate(groups)],
                          [(sql, f"{'o' if '::text' in sql else 'c'}{number}") for number, sql in enumerate(dict.fromkeys(aggregates))], parent=parent)
        return self.finish(made)

    @staticmethod
    def alias(sql, number):
        """`c`: a number, `o`: of any other type."""
        other = "t.s" in sql and not sql.startswith("count") or sql.startswith(("bool", "every", "array", "max(t.time)"))
        return f"{'o' if other else 'c'}{number}"

    def finish(self, made):
        made.materialized_only = self.chance.random() < 0.4
        made.no_data = self.chance.random() < 0.25
        if made.groups and self.chance.random() < 0.12:
            made.hidden = (made.groups[0][1],)
        if self.chance.random() < 0.15:
            made.options = ", timescaledb.create_group_indexes = false"
        return made


def length(width):
    """Of a width: its unit (months or not) and how many."""
    if isinstance(width, int):
        return False, width
    amount, unit = width.split()
    unit = unit.rstrip("s")
    if unit in ("month", "year"):
        return True, int(amount) * (12 if unit == "year" else 1)
    return False, int(amount) * {"minute": 1, "hour": 60, "day": 1440}[unit]


def multiples(width, widths):
    months, size = length(width)
    day = 1440
    return [wider for wider in widths if (of := length(wider)) and of != (months, size)
            and ((of[0] == months and of[1] % size == 0) or (of[0] and not months and day % size == 0))]


class Queries:
    """Random queries on the table, most of them such as some definition can answer."""

    def __init__(self, chance, axis, definitions, literal):
        self.chance, self.axis, self.definitions, self.literal = chance, axis, definitions, literal

    def pick(self, *options):
        return self.chance.choice(options)

    def query(self):
        """The SQL, and whether a continuous aggregate might answer it."""
        raws = [definition for definition in self.definitions if definition.parent is None]
        aimed = self.pick(*raws) if raws and self.chance.random() < 0.85 else None
        inner = Inner(self, aimed)
        sql = inner.sql()
        return self.wrap(inner, sql), inner.possible

    def times(self):
        """Conditions on time; each bound is often one of a bucket's."""
        column, bound = "t.time", self.literal
        wide = self.pick(*self.axis.widths)
        bucket = Bucket(wide).sql()
        return self.pick(
            lambda: [], lambda: [], lambda: [], lambda: [], lambda: [f"{column} >= {bound()}"], lambda: [f"{column} < {bound()}"],
            lambda: [f"{column} >= least({bound()}, {bound()}, {bound()})"], lambda: [f"{column} < greatest({bound()}, {bound()}, {bound()})"], lambda: [f"{column} > {bound()}", f"{column} <= {bound()}"],
            lambda: [f"{column} BETWEEN {bound()} AND {bound()}"], lambda: [f"{bucket} >= {bound()}"], lambda: [f"{bucket} = {Bucket(wide).sql(bound())}"],
            lambda: [f"{column} >= {bound()}", f"{column} < {bound()}"], lambda: [f"{column} >= {Bucket(wide).sql(bound())}"], lambda: [f"{column} = {bound()}"],
            lambda: [f"{column} >= least({bound()}, {bound()})", f"{column} < greatest({bound()}, {bound()})"],
            lambda: [f"({column} < {bound()} OR {column} >= {bound()})"], lambda: [f"NOT {column} < {bound()}"], lambda: [f"{bound()} <= {column}"],
            lambda: [f"{column} >= (SELECT min(x) FROM (VALUES ({bound()}), ({bound()})) AS l(x))"], *self.others(column, bound))()

    def others(self, column, bound):
        """Bounds of other types, some of which the column's type does not have."""
        if not self.axis.unique:
            return []
        type = self.pick("date", "timestamp" if self.axis.zones else "date")
        odd = self.pick("5000000-01-01", "4714-11-24 BC", "infinity", "-infinity") if type == "date" else self.pick("294276-12-31 23:59:59", "4714-11-24 00:00:00 BC", "infinity", "-infinity")
        return [lambda: [f"{column} {self.pick('<', '<=', '>', '>=')} ({bound()})::{type}"], lambda: [f"{column} {self.pick('<', '<=', '>', '>=', '<', '>')} {type} '{odd}'"]]

    def wrap(self, inner, sql):
        """The query in another one, or as it is."""
        names = inner.names
        keys, last = inner.keys, names[-1]
        order = ", ".join(f"{name}{self.pick('', ' DESC', ' NULLS FIRST')}" for name in keys) or "1"
        shapes = [lambda: sql] * 6
        if inner.unique:
            shapes += [lambda: f"{sql} ORDER BY {order}{self.pick('', ' LIMIT 1', ' LIMIT 5', ' LIMIT 3 OFFSET 2')}"] * (3 if keys else 0)
            shapes += [lambda: f"SELECT *, row_number() OVER (ORDER BY {', '.join(keys) or '1'}) FROM ({sql}) AS x"]
        if "stddev" not in sql and "var" not in sql:
            # Which rows are equal must not depend on rounding.
            shapes += [lambda: f"({sql}) EXCEPT ALL ({sql})"]
        shapes += [
            lambda: f"SELECT * FROM ({sql}) AS x",
            lambda: f"SELECT count(*), count({last}) FROM ({sql}) AS x",
            lambda: f"SELECT x.{names[0]}, count(*) FROM ({sql}) AS x GROUP BY 1",
            lambda: f"WITH x AS ({sql}) SELECT * FROM x",
            lambda: f"WITH x AS MATERIALIZED ({sql}) SELECT (SELECT count(*) FROM x), * FROM x",
            lambda: f"({sql}) UNION ALL ({sql})",
            lambda: f"SELECT * FROM ({sql}) AS x WHERE x.{names[0]} IS NOT NULL AND x.{last} IS NOT NULL",
            lambda: f"SELECT x.*, dim.label FROM ({sql}) AS x LEFT JOIN dim ON dim.dev = (SELECT count(*) FROM {{t}} AS t WHERE t.dev = 1) % 5",
            lambda: f"SELECT EXISTS ({sql})", lambda: f"SELECT d.dev, x.* FROM dim AS d LEFT JOIN LATERAL ({sql}) AS x ON true",
            lambda: f"SELECT DISTINCT {names[0]} FROM ({sql}) AS x",
        ]
        return self.pick(*shapes)()


class Inner:
    """One SELECT .. GROUP BY."""

    def __init__(self, queries, aimed):
        self.queries, self.aimed, self.chance, self.axis = queries, aimed, queries.chance, queries.axis
        # Whether a continuous aggregate ought to answer it.
        self.pick, self.possible = queries.pick, aimed is not None and not aimed.having and not aimed.join
        self.keys, self.names, self.unique = [], [], True

    def bucket(self):
        if self.aimed is None:
            return self.pick(None, Bucket(self.pick(*self.axis.widths)).sql())
        own = self.aimed.bucket
        wider = multiples(own.width, self.axis.widths)
        kind = self.chance.random()
        if kind < 0.35:
            return own.sql()
        if kind < 0.6 and wider:
            self.same = False
            return Bucket(self.pick(*wider), own.extra).sql()
        if kind < 0.66 and self.axis.zones and not own.extra:
            # Of months and days a zone's own can be computed if its clocks fit, of a real zone they mostly don't.
            self.same = self.possible = False
            return Bucket(self.pick(own.width, *wider), f", '{self.pick(*ZONES)}'").sql()
        if kind < 0.87:
            self.same = False
        if kind < 0.75 and self.axis.truncations:
            self.possible = False
            zone = f", '{self.pick(*ZONES)}'" if self.axis.zones and self.chance.random() < 0.3 else ""
            return f"date_trunc('{self.pick(*self.axis.truncations)}', t.time{zone})"
        if kind < 0.87:
            return None
        self.possible = False
        return Definer(self.chance, self.axis).bucket(self.axis.widths).sql()

    def groups(self):
        own = [sql for sql, _ in self.aimed.groups if not sql.startswith("dim.")] if self.aimed else []
        chosen = [sql for sql in own if self.chance.random() < 0.6]
        self.same = self.same and len(chosen) == len(own)
        if self.aimed is None or self.chance.random() < 0.07:
            chosen.append(self.pick(*GROUPS))
            self.possible = self.possible and chosen[-1] in own
        if "t.dev" in own and self.chance.random() < 0.15:
            chosen.append(self.pick("t.dev + 1", "CASE WHEN t.dev > 2 THEN 'high' END"))
        return list(dict.fromkeys(chosen))

    def aggregates(self):
        if self.aimed is None:
            return [self.pick(*DECOMPOSED, *COMBINED) for _ in range(self.pick(1, 2, 3))]
        own = [sql for sql, _ in self.aimed.aggregates]
        chosen = [self.pick(*own) for _ in range(self.pick(1, 2, 2, 3))]
        if self.chance.random() < 0.2:
            chosen.append(self.pick("count(*)", "sum(t.n) + 1", "min(t.time)", *DECOMPOSED))
            self.possible = self.possible and chosen[-1] in own
        if self.chance.random() < 0.1:
            chosen.append(self.pick(*own) + " IS NULL")
        return chosen

    def conditions(self):
        found = self.queries.times()
        if any(sql.startswith(("NOT ", "(")) or "SELECT" in sql for sql in found):
            self.possible = False
        own = [sql for sql, _ in self.aimed.groups] if self.aimed else []
        if self.aimed and self.aimed.where:
            if self.chance.random() < 0.9:
                found.append(self.aimed.where)
            else:
                self.possible = False
        if "t.dev" in own and self.chance.random() < 0.5:
            found.append(self.pick("t.dev = 2", "t.dev IN (1, 3)", "t.dev > 1", "t.dev BETWEEN 2 AND 3", "t.dev = ANY (ARRAY[1, 4])", "t.dev % 2 = 0", "(t.dev = 1 OR t.dev > 3)", "t.dev IS NULL"))
        if "t.s" in own and self.chance.random() < 0.4:
            found.append(self.pick("t.s = 'x'", "t.s IS NULL", "t.s LIKE 'y%'", "coalesce(t.s, '') <> 'x'", "t.s IS DISTINCT FROM 'yy'"))
        if "t.c" in own and self.chance.random() < 0.5:
            found.append(self.pick("t.c = 'k'", "t.c IN ('K', 'x')", "t.c >= 'K'", "t.c = 'k' COLLATE \"C\"", "t.c IN ('k' COLLATE \"C\", 'x')", "t.c > 'K' COLLATE \"C\"", "lower(t.c) = 'k'"))
            self.possible = self.possible and found[-1] in ("t.c = 'k'", "t.c IN ('K', 'x')", "t.c >= 'K'")
        if "t.b" in own and self.chance.random() < 0.4:
            found.append(self.pick("t.b", "NOT t.b", "t.b IS NOT TRUE"))
        if self.chance.random() < 0.06:
            self.possible = False
            found.append(self.pick("t.v > 0", "t.id % 3 = 0", "t.n IS NOT NULL", "random() >= 0", "EXISTS (SELECT FROM dim WHERE dim.dev = t.dev)"))
        return found

    def sql(self):
        self.same = True
        bucket, groups = self.bucket(), self.groups()
        keys = ([bucket] if bucket else []) + groups
        aggregates = self.aggregates()
        if not self.same and any(sql in WHOLE for sql in aggregates):
            self.possible = False
        by_device = self.aimed is not None and any(sql == "t.dev" for sql, _ in self.aimed.groups)
        source, join = "{t} AS t", self.aimed.join if self.aimed else ""
        kind = self.chance.random()
        if kind < 0.25 and not by_device:
            self.possible = False
        if kind < 0.1:
            source = "w_{t} AS t"
        elif kind < 0.2 and not join:
            join = self.pick(" JOIN dim ON dim.dev = t.dev", " LEFT JOIN dim ON dim.dev = t.dev", " CROSS JOIN (VALUES (1), (2)) AS dim(label)")
            if self.chance.random() < 0.7:
                keys.append("dim.label")
        elif kind < 0.25:
            source = "(SELECT * FROM {t} AS i WHERE i.dev <> 2) AS t"
        elif kind < 0.3:
            source = "(SELECT *, 'x'::text AS k FROM {t} AS i) AS t"
            keys.append("t.k")
            aggregates.append("coalesce(t.k, 'total')")
        conditions = self.conditions()
        if keys and self.chance.random() < 0.04:
            self.possible = False
            keys.append(self.pick("unnest(ARRAY[1, 1])", "generate_series(1, 2)", "unnest(ARRAY[1, NULL])"))
        failing = "t.dev" in keys and self.chance.random() < 0.06
        if failing:
            # Groups that WHERE leaves out make HAVING fail.
            conditions.append(self.pick("t.dev::text <> '2'", "EXISTS (SELECT FROM dim AS d WHERE d.dev = t.dev AND d.dev <> 2)", "t.dev <> 2"))
            self.possible = False
        self.chance.shuffle(keys)
        self.keys = [f"k{number}" for number in range(len(keys))]
        items = [f"{sql} AS k{number}" for number, sql in enumerate(keys)] + [f"{sql} AS x{number}" for number, sql in enumerate(aggregates)]
        self.names = self.keys + [f"x{number}" for number in range(len(aggregates))]
        having = f" HAVING {self.pick('count(*) > 2', 'count(*) > 0', 'max(t.n) > 3', 'sum(t.n) <> 0')}" if self.chance.random() < 0.12 else ""
        if having and having.removeprefix(" HAVING ").rsplit(" ", 2)[0] not in aggregates:
            self.possible = False
        if failing:
            having = " HAVING count(*) / (t.dev - 2) <> 1000"
        grouping = ", ".join(keys)
        if len(keys) > 1 and self.chance.random() < (0.6 if "t.k" in keys else 0.04):
            grouping, self.unique = f"{self.pick('ROLLUP', 'CUBE')} ({grouping})", False
            self.possible = False
        return (f"SELECT {', '.join(items)} FROM {source}{join}{' WHERE ' + ' AND '.join(conditions) if conditions else ''}"
                f"{' GROUP BY ' + grouping if keys else ''}{having}")
