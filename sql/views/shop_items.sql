-- One row per item of a shop event: what was looked at, put into a cart or bought, with what it costs.
-- Grain: an item of an event. Events without items are not in it. Prices are exact.
-- Reads what view shop_events does, plus items and the columns below; bound by event_date.
SELECT
  events.event_date,
  events.event_timestamp,
  events.event_id,
  events.event_type,
  events.session_id,
  events.visitor.id AS visitor_id,
  events.visitor.country AS country,
  events.device,
  events.is_bot,
  events.currency,
  item.product_id,
  item.name,
  item.brand,
  item.category,
  item.variant,
  item.price,
  item.quantity,
  item.discount,
  item.revenue
FROM clickstream_analytics.shop_events AS events, UNNEST(events.items) AS item
