// SPDX-License-Identifier: GPL-2.0-only
// The yardstick of bench/run.py: functions that return early on an equal MMU role and
// store a root level behind that.  It finds the shape and decides nothing.

@guarded@
expression context, role;
identifier member;
position here;
@@
(
  if (role.as_u64 == context->member.as_u64)
  	return@here;
|
  if (context->member.as_u64 == role.as_u64)
  	return@here;
|
  if (role.as_u64 == context->member.as_u64 && ...)
  	return@here;
|
  if (context->member.as_u64 == role.as_u64 && ...)
  	return@here;
)
  ...
  context->member.as_u64 = role.as_u64;

@script:python@
here << guarded.here;
member << guarded.member;
@@
print(f"{here[0].file}:{here[0].line}: skips on an equal {member}")
