{{- define "vidsearch.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 50 | trimSuffix "-" -}}
{{- end }}

{{/* Labels of a component: (list $ "worker") */}}
{{- define "vidsearch.selector" -}}
app.kubernetes.io/name: {{ (index . 0).Chart.Name }}
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- define "vidsearch.labels" -}}
{{ include "vidsearch.selector" . }}
app.kubernetes.io/version: {{ (index . 0).Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
helm.sh/chart: {{ printf "%s-%s" (index . 0).Chart.Name (index . 0).Chart.Version }}
{{- end }}

{{- define "vidsearch.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "vidsearch.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end }}

{{/* An image: (list $ $imageOverIt) */}}
{{- define "vidsearch.image" -}}
{{- $image := merge (deepCopy (index . 1)) (deepCopy (index . 0).Values.image) -}}
image: "{{ $image.repository }}:{{ default (index . 0).Chart.AppVersion $image.tag }}"
imagePullPolicy: {{ $image.pullPolicy }}
{{- end }}

{{/* Settings as variables: the sections of vidsearch.toml, lists and tables as JSON. */}}
{{- define "vidsearch.variables" -}}
{{- range $section, $values := . }}
{{- range $name, $value := $values }}
- name: VIDSEARCH_{{ upper $section }}__{{ upper $name }}
  {{- if or (kindIs "slice" $value) (kindIs "map" $value) }}
  value: {{ toJson $value | quote }}
  {{- else if kindIs "float64" $value }}
  value: {{ ternary (printf "%d" (int64 $value)) (toString $value) (eq (floor $value) $value) | quote }}
  {{- else }}
  value: {{ toString $value | quote }}
  {{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* What every container has: (list $ $settingsOverTheOthers), and more variables, which extraEnv is over, and values
with an existingSecret and an extraEnv of its own */}}
{{- define "vidsearch.environment" -}}
{{- $root := index . 0 -}}
{{- $settings := mergeOverwrite (deepCopy $root.Values.settings) (index . 1) -}}
{{- $own := dict -}}
{{- if gt (len .) 3 }}{{ $own = index . 3 }}{{ end -}}
env:
  {{- include "vidsearch.variables" $settings | trim | nindent 2 }}
  {{- if gt (len .) 2 }}
  {{- with index . 2 }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  {{- end }}
  {{- with default $root.Values.extraEnv $own.extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with default $root.Values.existingSecret $own.existingSecret }}
envFrom:
  - secretRef:
      name: {{ . }}
{{- end }}
securityContext:
  {{- toYaml $root.Values.securityContext | nindent 2 }}
{{- end }}

{{/* What every pod has: (list $ $nodeSelector $tolerations) */}}
{{- define "vidsearch.pod" -}}
{{- $root := index . 0 -}}
serviceAccountName: {{ include "vidsearch.serviceAccount" $root }}
automountServiceAccountToken: false
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- toYaml $root.Values.podSecurityContext | nindent 2 }}
{{- with default $root.Values.nodeSelector (index . 1) }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with default $root.Values.tolerations (index . 2) }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $root.Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* The root of a container is read-only; /tmp has the size of worker.tmpSize where a worker needs it. */}}
{{- define "vidsearch.mounts" -}}
- name: tmp
  mountPath: /tmp
- name: models
  mountPath: /var/lib/vidsearch/models
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Volumes of a pod: (list $ $sizeOfTmp), which may be unset */}}
{{- define "vidsearch.volumes" -}}
{{- $root := index . 0 -}}
- name: tmp
  {{- with index . 1 }}
  emptyDir:
    sizeLimit: {{ . }}
  {{- else }}
  emptyDir: {}
  {{- end }}
- name: models
  {{- if $root.Values.models.existingClaim }}
  persistentVolumeClaim:
    claimName: {{ $root.Values.models.existingClaim }}
  {{- else }}
  emptyDir: {}
  {{- end }}
{{- with $root.Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}
