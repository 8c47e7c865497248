# SPDX-License-Identifier: LGPL-2.1-or-later
# Mesh names stay out of the DNS; accounts of the mesh come behind all others.
hosts before=dns verimesh [NOTFOUND=return]
passwd last verimesh
group last verimesh
