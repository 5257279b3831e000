# SPDX-License-Identifier: GPL-2.0-or-later
#
# What the states of qubes-autoattach set up. This is your file: an update of
# the package leaves it as it is.

# the qube that has the USB controllers
{%- set usb_qube = 'sys-usb' %}

# its template; of a disposable, the template of its template
{%- set template = salt['cmd.run_stdout']('qvm-prefs -- ' ~ usb_qube ~ ' template') %}
{%- if salt['cmd.run_stdout']('qvm-prefs -- ' ~ template ~ ' klass') == 'AppVM' %}
{%- set template = salt['cmd.run_stdout']('qvm-prefs -- ' ~ template ~ ' template') %}
{%- endif %}

# Salt hands a qube that it works on all that is here for that qube. So rules,
# which name other qubes, are for dom0 only.
{%- if grains['id'] == 'dom0' %}
qubes-autoattach:
  usb-qube: {{ usb_qube | yaml_dquote }}

  # Rules, a line each, for /etc/qubes/autoattach.d/20-salt.rules, as
  #   - 'archive: allow block id 0bc2:2322 serial "NA8XY" from sys-usb to archive when-running'
  # A name is in use once over all files of that folder.
  rules: []
{%- elif grains['id'] == template %}
qubes-autoattach:
  template: {{ template | yaml_dquote }}

  # Where the template gets qubes-autoattach-vm: from its repositories, or the
  # name of a file in /srv/salt/qubes-autoattach/files.
  package: ''
{%- endif %}
