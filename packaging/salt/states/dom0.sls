# SPDX-License-Identifier: GPL-2.0-or-later
#
# qubes-autoattach in dom0: the daemon, the service of the USB qube, and the
# rules that pillar has. See /srv/pillar/base/qubes-autoattach/init.sls.

{%- set usb_qube = salt['pillar.get']('qubes-autoattach:usb-qube', 'sys-usb') %}
{%- set rules = salt['pillar.get']('qubes-autoattach:rules', []) %}

qubes-autoattach-dom0:
  pkg.installed: []

qubes-autoattachd:
  service.running:
    - enable: True
    - require:
      - pkg: qubes-autoattach-dom0

# seen when the USB qube starts the next time
qubes-autoattach-service:
  qvm.service:
    - name: {{ usb_qube | yaml_dquote }}
    - enable:
      - autoattach

# The package lets sys-usb report.
/etc/qubes/policy.d/30-qubes-autoattach-salt.policy:
{%- if usb_qube == 'sys-usb' %}
  file.absent: []
{%- else %}
  file.managed:
    - user: root
    - group: qubes
    - mode: '0664'
    - contents:
      - '# Salt writes this file: change pillar instead.'
      - {{ ('autoattach.Event * ' ~ usb_qube ~ ' @adminvm allow') | yaml_dquote }}
    # The second fails if that is no qube: what is no name would be an error, for
    # which Qubes denies every qrexec call of the system.
    - require:
      - pkg: qubes-autoattach-dom0
      - qvm: qubes-autoattach-service
{%- endif %}

/etc/qubes/autoattach.d/20-salt.rules:
{%- if rules %}
  file.managed:
    - user: root
    - group: root
    - mode: '0644'
    - contents:
      - '# Salt writes this file: change pillar instead.'
{%- for rule in rules %}
      - {{ rule | yaml_dquote }}
{%- endfor %}
    # Rules with an error never get there, nor do those that have one together
    # with the folder's others, as a name that is taken; a warning is no error.
    - check_cmd: >-
        sh -c 'set -- "$0";
        for file in /etc/qubes/autoattach.d/*.rules; do
        case "$file" in */20-salt.rules) continue ;; esac;
        [ -e "$file" ] && set -- "$@" "$file";
        done;
        qvm-autoattach check "$@"; [ $? -lt 2 ]'
    - require:
      - pkg: qubes-autoattach-dom0
{%- else %}
  file.absent: []
{%- endif %}
