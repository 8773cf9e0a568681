-- title: Country
-- parameter: country
-- order: 30
-- page: stream
-- Reads country of all days.
SELECT country
FROM clickstream_analytics.clicks_raw
WHERE country IS NOT NULL
GROUP BY country
ORDER BY COUNT(*) DESC, country
LIMIT 50
