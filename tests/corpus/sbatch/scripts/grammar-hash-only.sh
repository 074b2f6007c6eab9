#!/bin/bash
#
srun ./program
