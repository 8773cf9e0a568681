-- Which campaigns bring visitors who buy.
-- Grain: a campaign, which is a parameter of the event; bots are left out.
-- Reads event_type, is_bot, params of view shop_events; bound by event_date.
SELECT
  param.value.string_value AS campaign,
  COUNT(*) AS events,
  COUNTIF(events.event_type = 'purchase') AS purchases
FROM clickstream_analytics.shop_events AS events, UNNEST(events.params) AS param
WHERE param.key = 'campaign' AND events.is_bot IS NOT TRUE
GROUP BY campaign
ORDER BY purchases DESC, events DESC, campaign
