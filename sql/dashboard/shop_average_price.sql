-- title: Average price
-- page: batch
-- chart: number
-- order: 40
-- unit: USD
-- about: What a clicked product costs on average.
-- A row for the range. Reads price and the filters' columns of the days asked for.
SELECT ROUND(AVG(price), 2) AS average_price
FROM clickstream_analytics.clickstream_batch
WHERE event_date BETWEEN DATE(@from) AND DATE(@to)
  AND (@category IS NULL OR category = @category)
  AND (@country IS NULL OR country = @country)
