-- title: Revenue by category
-- page: events
-- chart: bar
-- order: 20
-- unit: EUR
-- about: What the items of each category brought, less discounts; bots are left out.
-- A row is a category. Reads items, event_type and the filters' columns of the days asked for.
SELECT
  item.category AS category,
  SUM(item.revenue) AS revenue
FROM clickstream_analytics.shop_events_raw AS events, UNNEST(events.items) AS item
WHERE events.event_date BETWEEN DATE(@from) AND DATE(@to)
  AND events.event_timestamp >= @from AND events.event_timestamp < @to
  AND events.event_type = 'purchase'
  AND (@country IS NULL OR events.visitor.country = @country)
  AND (@category IS NULL OR item.category = @category)
  AND events.is_bot IS NOT TRUE
GROUP BY item.category
ORDER BY revenue DESC, category
