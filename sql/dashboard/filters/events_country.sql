-- title: Country
-- parameter: country
-- order: 30
-- page: events
-- Reads visitor.country of all days.
SELECT events.visitor.country AS country
FROM clickstream_analytics.shop_events_raw AS events
WHERE events.visitor.country IS NOT NULL
GROUP BY events.visitor.country
ORDER BY COUNT(*) DESC, country
LIMIT 50
