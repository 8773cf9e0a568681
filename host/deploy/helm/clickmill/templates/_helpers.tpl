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
