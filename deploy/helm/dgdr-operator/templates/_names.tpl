{{/* Labels of every object. Names are fixed: one operator a cluster, or one a namespace, which its lease guards too. */}}
{{- define "labels" -}}
app.kubernetes.io/name: dgdr-operator
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "image" -}}
{{ printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) }}
{{- end }}

{{- define "profilerImage" -}}
{{ printf "%s:%s" .Values.profiler.image.repository (.Values.profiler.image.tag | default .Chart.AppVersion) }}
{{- end }}

{{- define "isCluster" -}}
{{ if eq .Values.scope "cluster" }}true{{ end }}
{{- end }}

{{- define "readsNodes" -}}
{{ if or (eq (toString .Values.gpuDiscovery.readNodes) "true") (and (eq (toString .Values.gpuDiscovery.readNodes) "auto") (include "isCluster" .)) }}true{{ end }}
{{- end }}

{{- define "profilingRole" -}}
{{ if .Values.profiler.thorough }}dgdr-operator-profiling-thorough{{ else }}dgdr-operator-profiling{{ end }}
{{- end }}

{{/* A binding of a role of the same name to the operator: kind Role or ClusterRole, name, and the role's own name. */}}
{{- define "operatorBinding" -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ .kind }}Binding
metadata:
  name: {{ .name }}
  {{- if eq .kind "Role" }}
  namespace: {{ .root.Release.Namespace }}
  {{- end }}
  labels: {{- include "labels" .root | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ .kind }}
  name: {{ .name }}
subjects:
  - kind: ServiceAccount
    name: {{ .account | default "dgdr-operator" }}
    namespace: {{ .root.Release.Namespace }}
{{- end }}

{{/* A role with the rules of the table. */}}
{{- define "role" -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ .kind }}
metadata:
  name: {{ .name }}
  {{- if eq .kind "Role" }}
  namespace: {{ .root.Release.Namespace }}
  {{- end }}
  labels: {{- include "labels" .root | nindent 4 }}
rules:
  {{- include (printf "rules/%s" (.rules | default .name)) .root | nindent 2 }}
{{- end }}

{{- define "roleAndBinding" -}}
{{ include "role" . }}
---
{{ include "operatorBinding" . }}
{{- end }}
