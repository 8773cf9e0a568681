-- title: Best sellers
-- page: events
-- chart: table
-- order: 30
-- about: The products that bring most, less discounts; bots are left out.
-- A row is a product, at most 20. Reads items, event_type and the filters' columns of the days asked for.
SELECT
  item.product_id AS product,
  MAX(item.name) AS name,
  MAX(item.category) AS category,
  COUNT(*) AS purchases,
  SUM(item.quantity) AS pieces,
  SUM(item.revenue) AS revenue
FROM clickstream_analytics.shop_events_raw AS events, UNNEST(events.items) AS item
WHERE events.event_date BETWEEN DATE(@from) AND DATE(@to)
  AND events.event_timestamp >= @from AND events.event_timestamp < @to
  AND events.event_type = 'purchase'
  AND (@country IS NULL OR events.visitor.country = @country)
  AND (@category IS NULL OR item.category = @category)
  AND events.is_bot IS NOT TRUE
GROUP BY item.product_id
ORDER BY revenue DESC, product
LIMIT 20
