-- title: Category
-- parameter: category
-- order: 20
-- page: batch
-- Reads category of all days.
SELECT category
FROM clickstream_analytics.clickstream_batch
GROUP BY category
ORDER BY COUNT(*) DESC, category
LIMIT 50
