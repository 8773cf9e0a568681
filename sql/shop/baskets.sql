-- How many products people buy at once, and what such purchases bring.
-- Grain: a number of products; bots are left out. Revenue is less discounts, and exact.
-- Reads event_type, is_bot, items_count, pieces, items_revenue of view shop_events; bound by event_date.
SELECT
  items_count AS products,
  COUNT(*) AS purchases,
  SUM(pieces) AS pieces,
  SUM(items_revenue) AS revenue
FROM clickstream_analytics.shop_events
WHERE event_type = 'purchase' AND is_bot IS NOT TRUE
GROUP BY items_count
ORDER BY products
