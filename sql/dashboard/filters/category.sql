-- title: Category
-- parameter: category
-- order: 20
-- page: stream
-- Reads category of all days.
SELECT category
FROM clickstream_analytics.clicks_raw
WHERE category IS NOT NULL
GROUP BY category
ORDER BY COUNT(*) DESC, category
LIMIT 50
