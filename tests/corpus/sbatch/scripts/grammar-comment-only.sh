#!/bin/bash
# -n 2
srun ./program
