-- title: Country
-- parameter: country
-- order: 30
-- page: batch
-- Reads country of all days.
SELECT country
FROM clickstream_analytics.clickstream_batch
GROUP BY country
ORDER BY COUNT(*) DESC, country
LIMIT 50
