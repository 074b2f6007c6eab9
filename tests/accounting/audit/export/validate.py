#!/usr/bin/env python3
"""Checks exports against their formats' rules, and plays the part of who receives them.

usage: validate.py FORMAT FILE…      FORMAT: apel apel-summary gpu auditor sacct csv

Independent of the program that wrote the files: the rules are taken from the formats' specifications and from what
the receivers' own readers check (named below), in the standard library's terms. The files are received one after the
other, as an operator would send them, month after month: a record replaces an older one of the same key where the
receiver does that, and is refused where it does that. In the end one line says what the receiver holds:
"records=N wall_s=N cpu_s=N" and what else the format counts. Any broken rule is a line on standard error and exit
status 1.
"""
import csv
import datetime
import json
import re
import sys

INT = re.compile(r"^\d+$")


class Invalid(Exception):
    pass


def need(condition, what):
    if not condition:
        raise Invalid(what)


# --- APEL (apel/db/loader/record_factory.py, apel/db/records/*.py, schemas/server.sql of release 2.5.0)

JOB = ["Site", "SubmitHost", "MachineName", "Queue", "LocalJobId", "LocalUserId", "GlobalUserName", "FQAN", "VO",
       "VOGroup", "VORole", "WallDuration", "CpuDuration", "Processors", "NodeCount", "StartTime", "EndTime",
       "InfrastructureDescription", "InfrastructureType", "MemoryReal", "MemoryVirtual", "ServiceLevelType",
       "ServiceLevel"]
SUMMARY = ["Site", "Month", "Year", "GlobalUserName", "VO", "VOGroup", "VORole", "SubmitHost", "InfrastructureType",
           "InfrastructureDescription", "ServiceLevel", "NodeCount", "Processors", "EarliestEndTime", "LatestEndTime",
           "WallDuration", "CpuDuration", "NumberOfJobs"]
NORMALISED = ["Site", "Month", "Year", "GlobalUserName", "VO", "VOGroup", "VORole", "SubmitHost", "Infrastructure",
              "InfrastructureDescription", "NodeCount", "Processors", "EarliestEndTime", "LatestEndTime",
              "WallDuration", "CpuDuration", "NormalisedWallDuration", "NormalisedCpuDuration", "NumberOfJobs"]
JOB_NEEDS = {"Site", "LocalJobId", "WallDuration", "CpuDuration", "StartTime", "EndTime"}
SUMMARY_NEEDS = {"Site", "Month", "Year", "WallDuration", "CpuDuration", "NumberOfJobs"}
NORMALISED_NEEDS = SUMMARY_NEEDS | {"NormalisedWallDuration", "NormalisedCpuDuration"}
NUMBERS = {"WallDuration", "CpuDuration", "Processors", "NodeCount", "StartTime", "EndTime", "MemoryReal",
           "MemoryVirtual", "Month", "Year", "EarliestEndTime", "LatestEndTime", "NumberOfJobs"}
LEVELS = {"si2k", "hepspec", "hepscore23"}


def apel_records(path):
    with open(path, encoding="utf-8") as file:
        header, _, rest = file.read().partition("\n")
    match = re.fullmatch(r"(APEL-[a-z-]+-message): v(0\.[34])", header)
    need(match, f"header {header!r}")
    parts = rest.split("%%")
    need(parts[-1].strip() == "", "a record is not closed by %%")
    for part in parts[:-1]:
        record = {}
        for line in part.strip().splitlines():
            key, colon, value = line.partition(":")
            need(colon and key.strip() not in record, f"line {line!r}")
            value = value.strip()
            need(value.lower() not in ("", "none", "null"), f"{key} says nothing")
            record[key.strip()] = value
        yield match.group(1), match.group(2), record


def dictionary(text):
    """{hepspec: 11.4, HEPscore23: 15.3}"""
    need(text.startswith("{") and text.endswith("}"), f"{text!r} is no dictionary")
    pairs = [item.split(":") for item in text[1:-1].split(",")]
    need(all(len(pair) == 2 for pair in pairs), f"{text!r} is no dictionary")
    values = {name.strip(): float(value) for name, value in pairs}
    need(all(name.lower() in LEVELS for name in values), f"{text!r}: an unknown benchmark")
    return values


def check_fields(record, fields, needed):
    need(not set(record) - set(fields), f"unknown fields {set(record) - set(fields)}")
    need(not needed - set(record), f"missing fields {needed - set(record)}")
    order = [fields.index(name) for name in record]
    need(order == sorted(order), f"fields out of order: {list(record)}")
    for name in NUMBERS & set(record):
        need(INT.match(record[name]), f"{name}: {record[name]!r} is no whole number")


def apel(paths):
    database = {}  # PRIMARY KEY (Site, LocalJobId, EndTime), REPLACE INTO
    for path in paths:
        seen = set()
        for kind, version, record in apel_records(path):
            need(kind == "APEL-individual-job-message", kind)
            check_fields(record, JOB if version == "0.3" else [f for f in JOB if f != "ServiceLevelType"], JOB_NEEDS)
            need(int(record["StartTime"]) <= int(record["EndTime"]), "it ended before it started")
            if version == "0.4":
                dictionary(record["ServiceLevel"])
            elif "ServiceLevel" in record or "ServiceLevelType" in record:
                need(record["ServiceLevelType"].lower() in LEVELS and float(record["ServiceLevel"]) > 0, "ServiceLevel")
            key = (record["Site"], record["LocalJobId"], record["EndTime"])
            need(key not in seen, f"{key} twice in one message")
            seen.add(key)
            database[key] = record
    total = lambda field: sum(int(r[field]) for r in database.values())
    used = [r for r in database.values() if int(r["WallDuration"]) > 0]
    print(f"records={len(used)} wall_s={total('WallDuration')} cpu_s={total('CpuDuration')}")


def apel_summary(paths):
    database = {}
    for path in paths:
        seen = set()
        for kind, version, record in apel_records(path):
            normalised = kind == "APEL-normalised-summary-message" or version == "0.3"
            need(kind in ("APEL-summary-job-message", "APEL-normalised-summary-message"), kind)
            check_fields(record, NORMALISED if normalised else SUMMARY,
                         NORMALISED_NEEDS if normalised else SUMMARY_NEEDS)
            month, year = int(record["Month"]), int(record["Year"])
            first = datetime.datetime(year, month, 1, tzinfo=datetime.timezone.utc).timestamp()
            last = datetime.datetime(year + month // 12, month % 12 + 1, 1, tzinfo=datetime.timezone.utc).timestamp()
            need(first <= int(record["EarliestEndTime"]) <= int(record["LatestEndTime"]) <= last, "not in its month")
            if normalised and version == "0.4":
                for field in ("NormalisedWallDuration", "NormalisedCpuDuration"):
                    record[field] = str(int(list(dictionary(record[field]).values())[0]))
            elif normalised:
                for field in ("NormalisedWallDuration", "NormalisedCpuDuration"):
                    need(INT.match(record[field]), field)
            else:
                dictionary(record["ServiceLevel"])
            # PRIMARY KEY of (Normalised)Summaries
            key = tuple(record.get(name) for name in ("Site", "Month", "Year", "GlobalUserName", "VO", "VOGroup",
                                                      "VORole", "SubmitHost", "NodeCount", "Processors"))
            need(key not in seen, f"{key} twice in one message")
            seen.add(key)
            database[key] = record
    total = lambda field: sum(int(r.get(field, 0)) for r in database.values())
    print(f"records={total('NumberOfJobs')} wall_s={total('WallDuration')} cpu_s={total('CpuDuration')} "
          f"normalised_wall={total('NormalisedWallDuration')}")


# --- APEL's GPU draft (GPU_MSG_SCHEMA of apel/common/message_schemas.py)

GPU_NEEDS = {"MeasurementMonth": int, "MeasurementYear": int, "AssociatedRecordType": str, "AssociatedRecord": str,
             "FQAN": str, "SiteName": str, "Count": (int, float), "AvailableDuration": int, "Type": str}
GPU_MAY = {"GlobalUserName": str, "Cores": int, "ActiveDuration": int, "BenchmarkType": str,
           "Benchmark": (int, float), "Model": str}


def gpu(paths):
    database = {}
    for path in paths:
        with open(path, encoding="utf-8") as file:
            messages = [json.loads(line) for line in file]
        for message in messages:
            need(set(message) == {"Type", "Version", "UsageRecords"}, "fields of the message")
            need(message["Type"] == "APEL GPU message" and message["Version"] == "0.1", "type or version")
            need(1 <= len(message["UsageRecords"]) <= 1000, "1 to 1000 records")
            for record in message["UsageRecords"]:
                need(not set(GPU_NEEDS) - set(record), "missing fields")
                for name, value in record.items():
                    kind = GPU_NEEDS.get(name) or GPU_MAY.get(name)
                    need(kind and isinstance(value, kind) and not isinstance(value, bool), f"{name}: {value!r}")
                need(1 <= record["MeasurementMonth"] <= 12 and record["MeasurementYear"] >= 2000, "month or year")
                need(record["AssociatedRecordType"] in ("cloud", "job"), "AssociatedRecordType")
                need(record["Type"] in ("GPU", "FPGA", "Other"), "Type")
                database[(record["SiteName"], record["AssociatedRecord"], record["MeasurementYear"],
                          record["MeasurementMonth"])] = record
    used = [r for r in database.values() if r["AvailableDuration"] > 0]
    print(f"records={len(used)} gpu_s={sum(r['Count'] * r['AvailableDuration'] for r in used)}")


# --- AUDITOR (auditor/src/domain/*.rs, routes/add.rs, routes/update.rs)

FORBIDDEN = set('/()"<>\\{}')  # of older versions


def name_is_valid(text):
    return isinstance(text, str) and text.strip() != "" and len(text) <= 256 and not FORBIDDEN & set(text)


def utc(text):
    need(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3}|\.\d{6})?Z", text), f"time {text!r}")
    return datetime.datetime.fromisoformat(text[:-1] + "+00:00")


def auditor(paths):
    database, refused = {}, 0
    for path in paths:
        with open(path, encoding="utf-8") as file:
            items = json.load(file)
        need(isinstance(items, list), "no array")
        for item in items:
            need(name_is_valid(item["record_id"]), f"record_id {item['record_id']!r}")
            if item["start_time"] is None:  # RecordUpdate: PUT /record
                need(set(item) == {"record_id", "meta", "components", "start_time", "stop_time"}, "fields of an update")
                if item["record_id"] not in database:
                    refused += 1  # 404
                    continue
                record = database[item["record_id"]]
                record["runtime"] = int((utc(item["stop_time"]) - utc(record["start_time"])).total_seconds())
                need(record["runtime"] >= 0, "a run time below zero")
                continue
            need(set(item) == {"record_id", "meta", "components", "start_time", "stop_time", "runtime"}, "fields")
            for key, values in item["meta"].items():
                need(name_is_valid(key) and values and all(name_is_valid(v) for v in values), f"meta {key}: {values}")
            for part in item["components"]:
                need(set(part) == {"name", "amount", "scores"} and name_is_valid(part["name"]), f"component {part}")
                need(type(part["amount"]) is int and 0 <= part["amount"] < 2**63, f"amount {part}")
                for score in part["scores"]:
                    need(set(score) == {"name", "value"} and score["value"] >= 0, f"score {score}")
            runtime = int((utc(item["stop_time"]) - utc(item["start_time"])).total_seconds())
            need(type(item["runtime"]) is int and item["runtime"] == runtime, "runtime")
            if item["record_id"] in database:
                refused += 1  # RECORD_EXISTS
                continue
            database[item["record_id"]] = item
    counted = [r for r in database.values() if r["runtime"] > 0]
    cpu = sum(p["amount"] for r in counted for p in r["components"] if p["name"] == "TotalCPU_us")
    print(f"records={len(counted)} runtime_s={sum(r['runtime'] for r in counted)} cpu_us={cpu} refused={refused}")


# --- Tables

def sacct(paths):
    for path in paths:
        with open(path, encoding="utf-8") as file:
            rows = [line.rstrip("\n").split("|") for line in file]
        need(rows[0][:2] == ["Cluster", "JobIDRaw"] and rows[0][-1] == "JobName", f"header {rows[0]}")
        need(all(len(row) == len(rows[0]) for row in rows), "columns")
        records = [dict(zip(rows[0], row)) for row in rows[1:]]
        for record in records:
            for name in ("Submit", "Start", "End"):
                need(record[name] == "Unknown" or datetime.datetime.strptime(record[name], "%Y-%m-%dT%H:%M:%S"), name)
            need(re.fullmatch(r"\d+:\d+", record["ExitCode"]), "ExitCode")
            need(re.fullmatch(r"(\d+-)?(\d\d:)?\d\d:\d\d(\.\d{3})?", record["TotalCPU"]), "TotalCPU")
            need(re.fullmatch(r"[A-Z_]+", record["State"]), "State")
    print(f"records={len(records)} wall_s={sum(int(r['ElapsedRaw']) for r in records)}")


def table(paths):
    for path in paths:
        with open(path, encoding="utf-8", newline="") as file:
            text = file.read()
        need(text.endswith("\r\n"), "the last line has no end")
        records = list(csv.DictReader(text.splitlines(keepends=True), strict=True))
        need(all(None not in r and None not in r.values() for r in records), "columns")
        keys = {(r["job"], r["attempt"], r["provider"]) for r in records}
        need(len(keys) == len(records), "a run twice")
    print(f"records={len(records)} elapsed_us={sum(int(r['elapsed_us']) for r in records)} "
          f"cpu_us={sum(int(r['cpu_us']) for r in records)}")


FORMATS = {"apel": apel, "apel-summary": apel_summary, "gpu": gpu, "auditor": auditor, "sacct": sacct, "csv": table}

if __name__ == "__main__":
    if len(sys.argv) < 3 or sys.argv[1] not in FORMATS:
        sys.exit(__doc__)
    try:
        FORMATS[sys.argv[1]](sys.argv[2:])
    except (Invalid, KeyError, ValueError, TypeError, csv.Error) as error:
        print(f"{sys.argv[1]}: {error!r}", file=sys.stderr)
        sys.exit(1)
