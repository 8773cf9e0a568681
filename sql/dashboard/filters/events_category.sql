-- title: Category
-- parameter: category
-- order: 20
-- page: events
-- Reads items of all days.
SELECT item.category AS category
FROM clickstream_analytics.shop_events_raw AS events, UNNEST(events.items) AS item
WHERE item.category IS NOT NULL
GROUP BY item.category
ORDER BY COUNT(*) DESC, category
LIMIT 50
