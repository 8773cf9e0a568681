-- title: Countries
-- page: batch
-- chart: bar
-- order: 130
-- unit: count
-- about: The ten countries that most clicks come from.
-- A row is a country. Reads country and the filters' columns of the days asked for.
SELECT
  country,
  COUNT(*) AS clicks
FROM clickstream_analytics.clickstream_batch
WHERE event_date BETWEEN DATE(@from) AND DATE(@to)
  AND (@category IS NULL OR category = @category)
GROUP BY country
ORDER BY clicks DESC, country
LIMIT 10
