-- title: Clicks
-- page: batch
-- chart: number
-- order: 20
-- unit: count
-- about: How often a product was clicked.
-- A row for the range. Reads the filters' columns of the days asked for.
SELECT COUNT(*) AS clicks
FROM clickstream_analytics.clickstream_batch
WHERE event_date BETWEEN DATE(@from) AND DATE(@to)
  AND (@category IS NULL OR category = @category)
  AND (@country IS NULL OR country = @country)
