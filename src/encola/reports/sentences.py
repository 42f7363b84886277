"""What reports say: key -> (Spanish, English)."""

from __future__ import annotations

from typing import Final

SENTENCES: Final[dict[str, tuple[str, str]]] = {
    # every report
    "made": ("Generado el {moment}", "Made on {moment}"),
    "page_of": ("Página {{page}} de {{pages}}", "Page {{page}} of {{pages}}"),
    "user": ("Usuario {user_id}", "User {user_id}"),
    "total": ("Total", "Total"),
    "share": ("% del total", "% of total"),
    "reading": ("Leyendo los datos", "Reading the data"),
    "drawing": ("Componiendo el PDF", "Drawing the PDF"),
    # sales
    "sales_title": ("Reporte de ventas", "Sales report"),
    "total_amount": ("Importe total", "Total amount"),
    "sales": ("Ventas", "Sales"),
    "units": ("Unidades", "Units"),
    "amount": ("Importe", "Amount"),
    "mean_amount": ("Importe medio por venta", "Mean amount a sale"),
    "refunds": ("{count} negativas: {amount}", "{count} below zero: {amount}"),
    "by_day": ("Ventas por día", "Sales by day"),
    "by_month": ("Ventas por mes", "Sales by month"),
    "by_quarter": ("Ventas por trimestre", "Sales by quarter"),
    "by_year": ("Ventas por año", "Sales by year"),
    "by_decade": ("Ventas por década", "Sales by decade"),
    "by_century": ("Ventas por siglo", "Sales by century"),
    "quarter": ("T{number} {year}", "Q{number} {year}"),
    "period": ("Periodo", "Period"),
    "undated": ("Sin fecha", "No date"),
    "no_dates": (
        "Ningún archivo tiene una columna de fechas: no hay ventas por periodo.",
        "No file has a column of dates: there are no sales by period.",
    ),
    "best_products": ("Productos con mayor importe", "Products with the greatest amount"),
    "by_product": ("Ventas por producto", "Sales by product"),
    "product": ("Producto", "Product"),
    "unnamed": ("Sin nombre", "No name"),
    "others": ("Otros {count} productos", "{count} other products"),
    "no_products": (
        "Ningún archivo tiene una columna de productos: no hay ventas por producto.",
        "No file has a column of products: there are no sales by product.",
    ),
    "files": ("Archivos de datos", "Data files"),
    "file": ("Archivo", "File"),
    "rows": ("Filas", "Rows"),
    "use": ("Columnas usadas", "Columns used"),
    "role_date": ("fecha", "date"),
    "role_product": ("producto", "product"),
    "role_quantity": ("cantidad", "quantity"),
    "role_price": ("precio", "price"),
    "role_amount": ("importe", "amount"),
    "unread": (
        "{count} filas sin un importe legible no cuentan",
        "{count} rows without a readable amount do not count",
    ),
    "skipped_no_columns": (
        "No se usa: no tiene columnas de ventas",
        "Not used: it has no columns of sales",
    ),
    "skipped_unreadable": (
        "No se usa: no se puede leer como Parquet",
        "Not used: it cannot be read as Parquet",
    ),
    "skipped_same_rows": (
        "No se usa: tiene las mismas filas que {name}",
        "Not used: it has the same rows as {name}",
    ),
    "exact": ("Cifras exactas", "Exact figures"),
    "exact_note": (
        "Las mismas sumas sin separador de miles, para copiarlas en una hoja de cálculo.",
        "The same sums without separators, to be copied into a spreadsheet.",
    ),
    "figure": ("Cifra", "Figure"),
    "value": ("Valor", "Value"),
}
