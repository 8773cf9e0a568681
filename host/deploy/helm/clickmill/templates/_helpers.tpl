{{- define "clickmill.selector" -}}
app.kubernetes.io/name: clickmill
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "clickmill.metadata" -}}
name: {{ .Release.Name }}
labels:
  {{- include "clickmill.selector" . | nindent 2 }}
  app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- end -}}

{{- define "clickmill.image" -}}
{{- with .Values.image -}}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{ end -}}
{{- end -}}
{{- end -}}

{{- /* Refuses values that would undo what the chart is for. A key is what the executable takes for it. */ -}}
{{- define "clickmill.check" -}}
{{- $spool := "letters would go to a disk that goes away with the pod" -}}
{{- $drain := "the chart's `drainSeconds` says how long a drain may take, and the grace period follows it" -}}
{{- $admin := "the probes ask the admin interface on port 7627" -}}
{{- $kept := dict "dead_letter.spool" $spool "source.max_drain_secs" $drain "source.kind" $drain "admin.listen" $admin -}}
{{- if .Values.fleet }}{{ $_ := set $kept "swap.fleet" "the chart's `fleet` says it" }}{{ end -}}
{{- range .Values.settings -}}
{{- $key := splitList "=" . | first | trim -}}
{{- range $name, $why := $kept -}}
{{- if eq $key $name }}{{ fail (printf "settings: `%s` is the chart's: %s" $key $why) }}{{ end -}}
{{- if hasPrefix (printf "%s." $key) $name -}}
{{- fail (printf "settings: `%s` replaces the whole section, with `%s`, which is the chart's: %s; set its other keys one by one" $key $name $why) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- with .Values.autoscaling -}}
{{- if and (ne .kind "none") (gt (int .minReplicas) (int .maxReplicas)) -}}
{{- fail (printf "autoscaling: minReplicas is %d, and maxReplicas %d: wanted as many or more" (int .minReplicas) (int .maxReplicas)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
