-- How much of a currency one euro buys. Prices come in the visitor's currency, so they cannot be added
-- up without. The rates are fixed, those by which the generator sets its prices: put your own here.
-- Grain: a currency. Reads no table.
SELECT 'EUR' AS currency, 1.0 AS per_euro
UNION ALL SELECT 'PLN', 4.25
UNION ALL SELECT 'CZK', 25.0
UNION ALL SELECT 'GBP', 0.85
UNION ALL SELECT 'USD', 1.08
UNION ALL SELECT 'SEK', 11.4
UNION ALL SELECT 'HUF', 395.0
UNION ALL SELECT 'CHF', 0.95
UNION ALL SELECT 'DKK', 7.46
UNION ALL SELECT 'NOK', 11.7
UNION ALL SELECT 'RON', 4.98
UNION ALL SELECT 'UAH', 44.0
