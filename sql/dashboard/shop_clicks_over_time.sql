-- title: Clicks by day
-- page: batch
-- chart: area
-- order: 110
-- unit: count
-- bucket_secs: 86400
-- about: How many clicks each day had, by category.
-- A row is a day and a category. The file has days, no hours. Reads event_date, category
-- and the filters' columns of the days asked for.
SELECT
  event_date AS day,
  category,
  COUNT(*) AS clicks
FROM clickstream_analytics.clickstream_batch
WHERE event_date BETWEEN DATE(@from) AND DATE(@to)
  AND (@category IS NULL OR category = @category)
  AND (@country IS NULL OR country = @country)
GROUP BY event_date, category
ORDER BY day, category
