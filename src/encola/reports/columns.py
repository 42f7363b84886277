"""
Which columns of a table are a sale's date, product, quantity, price and amount.

Pure: names and types in, an order of candidates out. A name is taken apart into plain
words (``fechaVenta``, ``FECHA_VENTA`` and ``Fecha de venta`` are alike), in Spanish or
English; a name that is exactly one of ours comes before one that only contains it. The type decides
whether a column can have that role at all; text may, if what is in it can be read (:mod:`.sales` looks).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

#: Role -> names, the likeliest first, as plain words.
NAMES: Final[dict[str, tuple[str, ...]]] = {
    "date": (
        *(
            "fecha venta",
            "sale date",
            "fecha pedido",
            "order date",
            "fecha factura",
            "invoice date",
        ),
        *("fecha compra", "purchase date", "fecha", "date", "fecha hora", "datetime", "timestamp"),
        *("dia", "day", "created at", "creado", "mes", "month"),
    ),
    "product": (
        *("producto", "product", "nombre producto", "product name", "articulo", "item"),
        *("item name", "nombre articulo", "descripcion", "description", "concepto", "servicio"),
        *("service", "referencia", "sku", "product id", "id producto", "codigo producto"),
        *("product code", "categoria", "category"),
    ),
    "quantity": (
        *("cantidad", "quantity", "qty", "unidades", "units", "uds", "cant", "unidades vendidas"),
        *("units sold", "quantity sold", "cantidad vendida", "piezas", "pieces"),
    ),
    "amount": (
        *("importe", "amount", "monto", "importe total", "total amount", "precio total"),
        *("total price", "total venta", "venta total", "total sales", "sales amount", "line total"),
        *("total", "ventas", "venta", "sales", "sale", "revenue", "ingresos", "ingreso"),
        *("facturacion", "facturado", "subtotal", "valor", "value"),
    ),
    "price": (
        *("precio unitario", "unit price", "precio unidad", "price per unit", "pvp"),
        *("precio", "price", "tarifa"),
    ),
}
#: A name with one of these words beside ours is something else: ``total_iva``, ``fecha_entrega_id``.
_FOREIGN: Final = {
    "date": {"nacimiento", "birth", "alta", "id"},
    "product": {
        "fecha",
        "date",
        "precio",
        "price",
        "cantidad",
        "quantity",
        "importe",
        "amount",
        "total",
    },
    "quantity": {"precio", "price", "importe", "amount", "stock", "id", "fecha", "date"},
    "amount": {
        *(
            "iva",
            "vat",
            "tax",
            "impuesto",
            "impuestos",
            "descuento",
            "discount",
            "dto",
            "coste",
            "cost",
        ),
        *("cantidad", "quantity", "qty", "unidades", "units", "id", "pct", "porcentaje", "percent"),
        *(
            "fecha",
            "date",
            "cliente",
            "customer",
            "clientes",
            "rate",
            "tipo",
            "type",
            "envio",
            "shipping",
        ),
        *("producto", "product", "articulo", "item", "items", "articulos", "unitario", "unit"),
    },
    "price": {"total", "coste", "cost", "id", "fecha", "date", "descuento", "discount"},
}
#: Role -> what its column may hold.
_KINDS: Final = {
    "date": {"date", "text"},
    "product": {"text", "number"},
    "quantity": {"number", "text"},
    "amount": {"number", "text"},
    "price": {"number", "text"},
}
_NUMBERS: Final = re.compile(
    r"U?(TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT)|FLOAT|DOUBLE|DECIMAL\(.*\)"
)
_DATES: Final = re.compile(r"DATE|TIMESTAMP.*")
#: Words that say nothing: ``fecha de la venta``.
_FILLERS: Final = {
    "de",
    "del",
    "la",
    "el",
    "los",
    "las",
    "of",
    "the",
    "en",
    "in",
    "eur",
    "usd",
    "euros",
}


@dataclass(frozen=True, slots=True)
class Column:
    """A column as the file describes it."""

    name: str
    type: str
    """DuckDB's name of the type."""

    @property
    def kind(self) -> str:
        """number, date, text, or other."""
        if _NUMBERS.fullmatch(self.type):
            return "number"
        if _DATES.fullmatch(self.type):
            return "date"
        return "text" if self.type == "VARCHAR" or self.type.startswith("ENUM") else "other"


def candidates(columns: Sequence[Column], role: str) -> list[Column]:
    """The columns that may have *role*, the likeliest first."""
    ranked = [
        (rank, position, column)
        for position, column in enumerate(columns)
        if column.kind in _KINDS[role]
        and (rank := _rank(plain_words(column.name), role)) is not None
    ]
    found = [column for _, _, column in sorted(ranked, key=lambda each: each[:2])]
    if role == "date" and not found:
        # The only date in a table of sales is the sale's, whatever it is called.
        dates = [column for column in columns if column.kind == "date"]
        return dates if len(dates) == 1 else []
    return found


def plain_words(name: str) -> tuple[str, ...]:
    """``FechaVenta``, ``fecha_venta`` and ``Fecha de venta (€)`` as ``("fecha", "venta")``."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    ascii_only = unicodedata.normalize("NFKD", apart).encode("ascii", "ignore").decode().lower()
    words = re.findall(r"[a-z0-9]+", ascii_only)
    return tuple(word for word in words if word not in _FILLERS)


def _rank(words: tuple[str, ...], role: str) -> tuple[int, int, int] | None:
    """Smaller is likelier; None: not this role."""
    best: tuple[int, int, int] | None = None
    for position, name in enumerate(NAMES[role]):
        wanted = tuple(name.split())
        if words == wanted:
            return (0, position, 0)
        extra = set(words) - set(wanted)
        if set(wanted) <= set(words) and not extra & _FOREIGN[role]:
            rank = (1, position, len(extra))
            best = rank if best is None else min(best, rank)
    return best
