-- title: Revenue
-- page: stream
-- chart: number
-- order: 50
-- unit: EUR
-- about: What was bought, in euros at fixed rates.
-- A row for the range. Prices come in the visitor's currency; view exchange_rates has the rates, and a
-- currency that it does not have is left out. Reads price, quantity, currency and the filters' columns
-- of the days asked for.
SELECT ROUND(SUM(price * IFNULL(quantity, 1) / per_euro), 2) AS revenue
FROM clickstream_analytics.clicks_raw AS clicks
JOIN clickstream_analytics.exchange_rates AS rates ON rates.currency = UPPER(clicks.currency)
WHERE event_date BETWEEN DATE(@from) AND DATE(@to)
  AND event_timestamp >= @from AND event_timestamp < @to
  AND event_type = 'purchase'
  AND (@category IS NULL OR category = @category)
  AND (@country IS NULL OR country = @country)
