"""When a schedule runs, as a person would say it in Spanish and in English."""

from __future__ import annotations

import pytest

from encola.api.timing_words import expression, words
from encola.timing import Cron, Every, Timing


@pytest.mark.parametrize(
    ("timing", "spanish", "english"),
    [
        (Every(1_000), "cada segundo", "every second"),
        (Every(1_500), "cada 1,5 segundos", "every 1.5 seconds"),
        (Every(300_000), "cada 5 minutos", "every 5 minutes"),
        (Every(86_400_000), "cada día", "every day"),
        (Cron("0 3 * * *"), "cada día a las 03:00", "every day at 03:00"),
        (Cron("0 1 * * *"), "cada día a la 01:00", "every day at 01:00"),
        (Cron("15 10,16 * * *"), "cada día a las 10:15 y 16:15", "every day at 10:15 and 16:15"),
        (Cron("* * * * *"), "cada minuto", "every minute"),
        (Cron("*/5 * * * *"), "cada 5 minutos", "every 5 minutes"),
        (Cron("0,30 * * * *"), "cada 30 minutos", "every 30 minutes"),
        (Cron("0 * * * *"), "cada hora en punto", "every hour on the hour"),
        (Cron("5 * * * *"), "cada hora en el minuto 5", "every hour at minute 5"),
        (
            Cron("5,35 * * * *"),
            "cada hora en los minutos 5 y 35",
            "every hour at minutes 5 and 35",
        ),
        (Cron("0 */2 * * *"), "cada 2 horas", "every 2 hours"),
        (Cron("17 */6 * * *"), "cada 6 horas en el minuto 17", "every 6 hours at minute 17"),
        (
            Cron("*/15 8-18 * * mon-fri"),
            "cada 15 minutos de 08:00 a 18:45, de lunes a viernes",
            "every 15 minutes from 08:00 to 18:45, Monday to Friday",
        ),
        (
            Cron("0 8-18 * * sat,sun"),
            "cada hora de 08:00 a 18:00, los sábados y domingos",
            "every hour from 08:00 to 18:00, on Saturdays and Sundays",
        ),
        (
            Cron("0 9 * * 1-5"),
            "de lunes a viernes a las 09:00",
            "Monday to Friday at 09:00",
        ),
        (
            Cron("0 9 * * 1,3"),
            "los lunes y miércoles a las 09:00",
            "on Mondays and Wednesdays at 09:00",
        ),
        (Cron("0 22 * * 7"), "cada domingo a las 22:00", "every Sunday at 22:00"),
        (
            Cron("30 2 1,15 * *"),
            "los días 1 y 15 de cada mes a las 02:30",
            "on days 1 and 15 of every month at 02:30",
        ),
        (
            Cron("0 0 1 1 *"),
            "el día 1 de enero a las 00:00",
            "on day 1 of January at 00:00",
        ),
        (
            Cron("0 0 L * *"),
            "el último día de cada mes a las 00:00",
            "on the last day of every month at 00:00",
        ),
        (
            Cron("0 0 * * mon#2"),
            "el segundo lunes de cada mes a las 00:00",
            "on the second Monday of every month at 00:00",
        ),
        (
            Cron("0 7 * 6-8 mon-fri"),
            "de lunes a viernes de junio a agosto a las 07:00",
            "Monday to Friday in June to August at 07:00",
        ),
        (
            Cron("0 9 1-7 * *", "UTC", (1,)),
            "los días 1 a 7 de cada mes que caigan en lunes a las 09:00",
            "on days 1 to 7 of every month that fall on Monday at 09:00",
        ),
        # Half a truth is worse than none.
        (
            Cron("0 0 13 * fri"),
            "según la expresión 0 0 13 * fri",
            "by the expression 0 0 13 * fri",
        ),
        (Cron("*/7 * * * *"), "según la expresión */7 * * * *", "by the expression */7 * * * *"),
    ],
)
def test_times_are_told_as_a_person_would(timing: Timing, spanish: str, english: str) -> None:
    assert (words(timing, "es"), words(timing, "en")) == (spanish, english)


def test_days_that_must_fit_as_well_are_added_to_the_expression() -> None:
    assert expression(Cron("0 9 1-7 * *", "UTC", (1, 3))) == "0 9 1-7 * *, only mon,wed"
    assert expression(Every(300_000)) == "every 5 minutes"
