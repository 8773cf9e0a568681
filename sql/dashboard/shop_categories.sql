-- title: Categories
-- page: batch
-- chart: donut
-- order: 120
-- unit: count
-- about: Which categories are clicked most.
-- A row is a category. Reads category and the filters' columns of the days asked for.
SELECT
  category,
  COUNT(*) AS clicks
FROM clickstream_analytics.clickstream_batch
WHERE event_date BETWEEN DATE(@from) AND DATE(@to)
  AND (@country IS NULL OR country = @country)
GROUP BY category
ORDER BY clicks DESC, category
