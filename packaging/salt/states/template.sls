# SPDX-License-Identifier: GPL-2.0-or-later
#
# The part of qubes-autoattach for the USB qube, in its template.

{%- set template = salt['pillar.get']('qubes-autoattach:template', '') %}
{%- set package = salt['pillar.get']('qubes-autoattach:package', '') %}

{%- if grains['id'] == template %}
qubes-autoattach-vm:
  pkg.installed:
{%- if package %}
    - sources:
      - qubes-autoattach-vm: {{ ('salt://qubes-autoattach/files/' ~ package) | yaml_dquote }}
{%- else %}
    - name: qubes-autoattach-vm
{%- endif %}
{%- else %}
qubes-autoattach-elsewhere:
  test.nop:
    - name: not the template of the USB qube
{%- endif %}
