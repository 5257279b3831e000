/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * What the core does, or once did, otherwise than DESIGN says: each of these,
 * set to true, lets a case pass. On those that are false the judge insists.
 */

/* class usb is not there yet */
#define SPARE_USB false
/* a restart forgets everything */
#define SPARE_STATE false
/* re-probe and resume are new plugs */
#define SPARE_SAME_PLUG false
/* what we knew of but do not hold: no 308 */
#define SPARE_KNOWN false
/* forgets what comes back with its target */
#define SPARE_RESTORES false
/* qubesd's list may be of what was there before */
#define SPARE_STALE false
/* where the list cannot be read, tries again */
#define SPARE_UNKNOWN false
/* what holds it passes for a disposable */
#define SPARE_HELD false
/* 308 does not end what is in work */
#define SPARE_IN_WORK false
/* a failed CurrentState is "does not run" */
#define SPARE_SELECT false
/* 308 for what was never known attached */
#define SPARE_MAYBE_HELD false
/* who has what there was no record of yet */
#define SPARE_UNTOLD true
/* 308 though the target is only starting */
#define SPARE_TRANSIENT false
/* domain-unpaused is not heard */
#define SPARE_UNPAUSE false
/* a failed look at default_dispvm is "none" */
#define SPARE_DISPVM false
/* a look hears of nothing meanwhile */
#define SPARE_LOOK false
/* an unsure end forgets what an event told */
#define SPARE_FORGETS false
/* exclusion is not looked at again */
#define SPARE_LATE_PART false
/* a record may be quicker than device-detach */
#define SPARE_RACE false
/* no deadline behind an Attach that hangs */
#define SPARE_QUEUED false
/* a detach revives what was said of old plugs */
#define SPARE_OLD_MEMORY false
/* listed again before the detach is told: 308 */
#define SPARE_READDED false
/* a restart forgets a resumption */
#define SPARE_RESUME false
/* what another attached meanwhile is ours */
#define SPARE_OTHERS false
/* a job in work starts what was stopped */
#define SPARE_STOP_IN_WORK false
/* 308 before the picture has come */
#define SPARE_EARLY_LOOK false
/* gone after the detach, before the look has ended */
#define SPARE_REPROBED false
/* an unreadable line is taken for what was known */
#define SPARE_UNREAD false
/* a detach by command does not end what is in work */
#define SPARE_ACT false
/* a partition is known before its disk after a restart */
#define SPARE_CHAIN false
/* 308 does not end what tries again */
#define SPARE_IN_FLIGHT false
/* an answer may be older than an event */
#define SPARE_OVERTAKEN false
/* a start is not heard by what is in work */
#define SPARE_MISSED_START false
/* detached while the look at the Attach is out */
#define SPARE_VERIFYING false
/* our shutdown of a disposable is the person's */
#define SPARE_OWN_CLOSE false
/* what has the device is taken for the disposable made */
#define SPARE_KILL false
/* a resumption long ago makes forget */
#define SPARE_OVER false
/* what is known but not held is not read anew */
#define SPARE_READ_ANEW false
/* what is held of old is in the way */
#define SPARE_OLD_HOLD false
/* what has no record yet is part of everything */
#define SPARE_EARLY_ANY false
/* no look after a restart if the record fails */
#define SPARE_UNLOOKED false
/* waits for what had it, whatever the rule says */
#define SPARE_OLD_TARGET false
/* another diskseq is another plug after a restart */
#define SPARE_DISKSEQ false
/* an Attach that hangs does not hold up the device */
#define SPARE_DOUBLE false
/* an inner disk with another diskseq is the same */
#define SPARE_INNER false
/* parts do not wait for a look */
#define SPARE_WHILE_LOOK false
/* a target that is unpaused has lost what it had */
#define SPARE_UNPAUSED false
/* what waits for a look goes on all at once */
#define SPARE_ALL_AT_ONCE false
/* what was announced is believed after a gap */
#define SPARE_ANNOUNCED false
/* an answer of Attached may be older than a detach */
#define SPARE_OLDER false
/* attached before domain-start is taken for lost */
#define SPARE_BOOTING false
/* a look eats the new decision of what ended 503 */
#define SPARE_LOST_503 false
/* what is to be detached from an old plug is held by the new */
#define SPARE_OLD_PLUG false
/* the answer after a late one is ignored */
#define SPARE_LATE_CALL false
