-- title: Categories
-- page: stream
-- chart: donut
-- order: 130
-- unit: count
-- about: Which categories of products the events are about; events about none are left out.
-- A row is a category. Reads category and the filters' columns of the days asked for.
SELECT
  category,
  COUNT(*) AS events
FROM clickstream_analytics.clicks_raw
WHERE event_date BETWEEN DATE(@from) AND DATE(@to)
  AND event_timestamp >= @from AND event_timestamp < @to
  AND (@event_type IS NULL OR event_type = @event_type)
  AND (@country IS NULL OR country = @country)
  AND category IS NOT NULL
GROUP BY category
ORDER BY events DESC, category
