-- One row per session: when, how long, how deep, what came of it.
-- Grain: a session. A session over midnight is of the day it began on. A bounce is a session of one event.
-- No user_id: so the view can be given to readers who may not see pseudonyms.
-- Reads event_date, event_timestamp, session_id, event_type, country, device, browser, is_bot, price,
-- quantity, currency of clicks, over all days: the day a session began on is known only from its events.
-- Where that is dear, write the view to a table once a day.
SELECT
  session_id,
  MIN(event_date) AS event_date,
  MIN(event_timestamp) AS started_at,
  MAX(event_timestamp) AS ended_at,
  TIMESTAMP_DIFF(MAX(event_timestamp), MIN(event_timestamp), MILLISECOND) / 1000.0 AS duration_secs,
  MAX(country) AS country,
  MAX(device) AS device,
  MAX(browser) AS browser,
  LOGICAL_OR(is_bot IS TRUE) AS is_bot,
  COUNT(*) AS events,
  COUNTIF(event_type = 'product_view') AS product_views,
  COUNTIF(event_type = 'add_to_cart') AS carts,
  COUNTIF(event_type = 'checkout') AS checkouts,
  COUNTIF(event_type = 'purchase') AS purchases,
  COUNTIF(event_type = 'error') AS errors,
  COUNT(*) = 1 AS is_bounce,
  ROUND(SUM(IF(event_type = 'purchase', price * IFNULL(quantity, 1) / per_euro, 0.0)), 2) AS revenue_eur
FROM clickstream_analytics.clicks AS clicks
LEFT JOIN clickstream_analytics.exchange_rates AS rates ON rates.currency = UPPER(clicks.currency)
GROUP BY session_id
